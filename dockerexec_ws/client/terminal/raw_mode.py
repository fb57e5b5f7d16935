"""The user's terminal: its size, and raw mode, in which each key goes to the program."""

import contextlib
import os
import signal
import termios
import tty


def window_size() -> tuple[int, int] | None:
    """Return rows and columns of the terminal on stdin, stdout or stderr; None without a terminal or a size."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(descriptor)
            if rows and columns:
                return rows, columns
    return None


class Terminal:
    """A terminal whose mode the main thread changes and restores.

    Nothing here waits for the terminal to take its output (TCSANOW), so that a stuck one does not delay the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[int | list[bytes | int]] | None = None  # the mode before, while it is raw

    def make_raw(self) -> None:
        """Switch to raw mode, even if another program has changed the mode since. Raises termios.error."""
        if self._saved is None:
            if not self.in_foreground():
                # The current mode is the shell's own, for its prompt. Stop until this program is in the foreground, as
                # any program does that reads the terminal from the background.
                os.kill(os.getpid(), signal.SIGTTIN)
            self._saved = termios.tcgetattr(self._descriptor)
        tty.setraw(self._descriptor, termios.TCSANOW)

    def restore(self) -> None:
        """Restore the mode, if it was changed and not yet restored."""
        saved, self._saved = self._saved, None
        if saved is None:
            return
        # In the background, this would stop the program for good, because nobody continues it at its end.
        handler = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._descriptor, termios.TCSANOW, saved)
        signal.signal(signal.SIGTTOU, handler)

    def in_foreground(self) -> bool:
        """Return whether this program may use the terminal. It may always use one without job control."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return True
