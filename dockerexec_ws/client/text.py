"""Output as text."""

import codecs
import io

from dockerexec_ws.client.streams import OutputReader
from dockerexec_ws.errors import DockerExecError

_CHUNK = 8192


class TextReader(io.TextIOBase):
    """stdout or stderr as text. Each line ends with a newline only. A session that fails is as in OutputReader.

    A plain ``io.TextIOWrapper`` would lose the last line when the exception comes.
    """

    def __init__(self, binary: OutputReader, encoding: str, errors: str) -> None:
        self.buffer = binary
        """The same output as bytes. Do not read both."""
        self._encoding = encoding
        self._errors = errors
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(errors), translate=True)
        self._text = ""  # decoded, and not yet asked for

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The name of the encoding."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What happens to bytes that cannot be decoded."""
        return self._errors

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> str:
        """Read *size* characters, fewer only at the end. Without *size*, read to the end."""
        if size is None or size < 0:
            return self.with_rest(self.buffer.read())
        while len(self._text) < size and self._fill():
            pass
        return self._take(size)

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # as in io.TextIOWrapper
        """Read a line, or its first *size* characters. Iterating does the same."""
        limit = -1 if size is None else size
        while not (end := self._text.find("\n") + 1) and not 0 <= limit <= len(self._text) and self._fill():
            pass
        end = end or len(self._text)
        return self._take(min(end, limit) if limit >= 0 else end)

    def with_rest(self, data: bytes) -> str:
        """Return the text that was not asked for yet, and that of *data*, which ends the stream."""
        text, self._text = self._text + self._decoder.decode(data, final=True), ""
        return text

    def close(self) -> None:
        """Stop reading. Further output is dropped."""
        self.buffer.close()
        super().close()

    def _fill(self) -> bool:
        """Decode more, and wait for it. Return False at the end."""
        try:
            data = self.buffer.read1(_CHUNK)
        except DockerExecError:
            if self._text:
                return False  # first what came before
            raise
        self._text += self._decoder.decode(data, final=not data)
        return bool(data)

    def _take(self, count: int) -> str:
        text, self._text = self._text[:count], self._text[count:]
        return text
