"""Files that stages have written, shown without trusting them."""

from pathlib import PurePosixPath

from starlette.responses import FileResponse

IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
SHOWN = {
    **IMAGES,
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".html": "text/html",
    ".json": "application/json",
    **dict.fromkeys((".txt", ".log", ".csv", ".md", ".yaml", ".yml"), "text/plain; charset=utf-8"),
}

SANDBOX = (
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; frame-ancestors 'none'"
)
"""A report may look as it likes; it runs no script, sends nothing, and is a stranger to this page."""


def is_image(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in IMAGES


def response(absolute: str, path: str) -> FileResponse:
    """The file, ranges included; what a browser can't show safely is offered for download."""
    name = PurePosixPath(path)
    media_type = SHOWN.get(name.suffix.lower())
    return FileResponse(
        absolute,
        media_type=media_type or "application/octet-stream",
        filename=name.name,
        content_disposition_type="inline" if media_type else "attachment",
        headers={"content-security-policy": SANDBOX},
    )
