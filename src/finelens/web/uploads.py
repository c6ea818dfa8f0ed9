"""Uploads: the files of one request, each in a private file under a name of the server's choosing.

What a client says of a file (its name, its path, its kind) is kept as words at most; no part of it
is ever a path. Everything is counted while it comes, and what is too much is not kept.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from finelens.web.limits import Limits
from finelens.web.problems import Problem, Refusal, problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "files"
"""What the form's field is called."""

_MULTIPART = b"multipart/form-data"
_MOST_NAME_CHARACTERS = 200


@dataclass
class Upload:
    """One input of a request.

    Attributes:
        name: What the client calls it: words to show, without folders; may be empty.
        path: Where its bytes lie until the request ends.
        num_bytes: How many came.
        problem: Why it is refused already, if it is.
    """

    name: str
    path: Path
    num_bytes: int = 0
    problem: Problem | None = None


class UploadFolder:
    """A folder that only this user may enter, gone when the server ends.

    Attributes:
        root: Where it lies.
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="finelens-"))

    def new_path(self) -> Path:
        """Return where a new file may lie; nothing lies there yet."""
        return self.root / secrets.token_hex(16)

    def close(self) -> None:
        """Remove the folder and all that lies in it."""
        shutil.rmtree(self.root, ignore_errors=True)


@asynccontextmanager
async def receive_uploads(
    request: Request, folder: UploadFolder, limits: Limits
) -> AsyncIterator[list[Upload]]:
    """Give a request's inputs in their order; their files are removed when the block ends.

    A form's inputs are its parts called ``files``; any other body is one input.

    Args:
        request: Whose body has not been read.
        folder: Where the files lie.
        limits: Of bytes and files; whoever gives the body bounds it as a whole.

    Raises:
        Refusal: If the body is no sound form, holds other fields, no file or too many, or is one
            input that is too large.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    reader = _Form(folder, limits, options) if kind == _MULTIPART else _Raw(folder, limits)
    try:
        async for chunk in request.stream():
            # writes may wait for a disk
            await run_in_threadpool(reader.feed, chunk)
        reader.finish()
        yield reader.uploads
    finally:
        reader.close()


class _Files:
    """Writes one input after another."""

    def __init__(self, folder: UploadFolder, limits: Limits) -> None:
        self.uploads: list[Upload] = []
        self._folder = folder
        self._limits = limits
        self._file: IO[bytes] | None = None

    def begin(self, name: str) -> None:
        if len(self.uploads) == self._limits.files:
            raise Refusal(
                "too-many-files",
                f"a request may hold {self._limits.files} files; send the others in another",
            )
        self.uploads.append(Upload(_shown(name), self._folder.new_path()))
        self._file = self.uploads[-1].path.open("xb")

    def write(self, data: bytes) -> None:
        upload = self.uploads[-1]
        upload.num_bytes += len(data)
        if upload.num_bytes > self._limits.file_bytes:
            upload.problem = problem("file-too-large", _too_large(self._limits))
            self.end()
        if self._file is not None:
            self._file.write(data)

    def end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Remove every file."""
        self.end()
        for upload in self.uploads:
            upload.path.unlink(missing_ok=True)


class _Raw(_Files):
    """A body that is one input."""

    def feed(self, chunk: bytes) -> None:
        if not self.uploads:
            self.begin("")
        self.write(chunk)
        if self.uploads[0].problem is not None:
            # nothing comes after it: the rest need not be read
            raise Refusal("file-too-large", _too_large(self._limits))

    def finish(self) -> None:
        self.end()
        if not self.uploads:
            self.begin("")
            self.end()


class _Form(_Files):
    """A body that is a form of several parts."""

    def __init__(self, folder: UploadFolder, limits: Limits, options: dict[bytes, bytes]) -> None:
        super().__init__(folder, limits)
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._is_ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_file,
            "on_part_data": lambda data, start, end: self.write(data[start:end]),
            "on_part_end": self.end,
            "on_end": self._end,
        }
        if b"boundary" not in options:
            raise Refusal("bad-request", "the form's Content-Type names no boundary")
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)
        except FormParserError as error:
            raise _unsound(error) from error

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _unsound(error) from error

    def finish(self) -> None:
        if not self._is_ended:
            raise Refusal("bad-request", "the body is no sound form: it is cut off")
        if not self.uploads:
            raise Refusal("bad-request", f'the form holds no field "{FIELD}" with a file')

    def _end(self) -> None:
        self._is_ended = True

    def _begin_part(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _begin_file(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode(errors="replace")
        if field != FIELD:
            raise Refusal(
                "bad-request", f'a form\'s field must be "{FIELD}", not "{_shown(field)}"'
            )
        self.begin(options.get(b"filename", b"").decode(errors="replace"))


def _unsound(error: FormParserError) -> Refusal:
    return Refusal("bad-request", f"the body is no sound form: {_shown(str(error))}")


def _too_large(limits: Limits) -> str:
    return f"the file is over the limit of {limits.file_bytes} bytes; send a smaller one"


def _shown(name: str) -> str:
    """Return words of a client that may be shown: one line, no folders, not endless."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:_MOST_NAME_CHARACTERS]
