"""The terminal that the user sits at: its size, and raw mode, in which every key goes to the program."""

import contextlib
import os
import signal
import termios
import tty


def window_size() -> tuple[int, int] | None:
    """Return rows and columns of the terminal that stdin, stdout or stderr is; None if none is, or it has none."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(descriptor)
            if rows and columns:
                return rows, columns
    return None


class Terminal:
    """A terminal whose mode is changed and put back by one thread, the main one.

    Nothing here waits for the terminal to take its output (TCSANOW): one that is stuck must not hold up the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[int | list[bytes | int]] | None = None  # the mode before, while it is raw

    def make_raw(self) -> None:
        """Switch to raw mode, also where somebody else has changed the mode since. Raises termios.error."""
        if self._saved is None:
            if not self.in_foreground():
                # The mode now is the shell's own, for its prompt: stop, as anybody who reads a terminal in the
                # background, until it is this program's turn.
                os.kill(os.getpid(), signal.SIGTTIN)
            self._saved = termios.tcgetattr(self._descriptor)
        tty.setraw(self._descriptor, termios.TCSANOW)

    def restore(self) -> None:
        """Put the mode back, if it was changed and has not been put back yet."""
        saved, self._saved = self._saved, None
        if saved is None:
            return
        # In the background this would stop the program for ever: at its end nobody continues it.
        handler = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._descriptor, termios.TCSANOW, saved)
        signal.signal(signal.SIGTTOU, handler)

    def in_foreground(self) -> bool:
        """Whether the terminal is this program's to use; so is one that controls no jobs."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return True
