"""The preloaded: what decoders are forked with, imported as lightly as may be."""

from __future__ import annotations

from finelens.installation import check_torch

check_torch()

from finelens.web import decoder as decoder  # noqa: E402  # torchvision is imported by then
