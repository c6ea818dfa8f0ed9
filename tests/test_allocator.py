import platform

from finelens.allocator import keep_freed_memory


def test_glibc_agrees_and_others_are_left_alone():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
