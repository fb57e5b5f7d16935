"""The main thread of the command line: it waits for events, and owns the terminal's mode and the program's end."""

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from dockerexec_ws.client.process import Process
from dockerexec_ws.client.terminal.escape import EscapeFilter
from dockerexec_ws.client.terminal.exit_status import OWN_FAILURE, Ending
from dockerexec_ws.client.terminal.private_modes import TerminalModes
from dockerexec_ws.client.terminal.raw_mode import Terminal, window_size
from dockerexec_ws.client.terminal.relay import Relay
from dockerexec_ws.errors import DockerExecError

_ENDING_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_TERMINAL_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
_STUCK_AFTER = 1.0  # seconds that a terminal has to take the last output

Connect = Callable[[tuple[int, int] | None], Process]


def attend(connect: Connect, *, tty: bool, escape: bytes) -> Ending:
    """Run the process that *connect* starts with stdin, stdout, stderr and the signals of this program.

    *connect* takes the rows and columns of the terminal, or None. With *tty*, a terminal on stdin is raw meanwhile, and
    *escape* is the character of the local escape (b"" for none). Returns how the program has to end.

    The connection stays open: the operating system closes it. The server then ends the process, and a server that hangs
    does not delay the user.
    """
    events: SimpleQueue[object] = SimpleQueue()  # its put() may be called in a signal handler
    for number in _ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and background jobs ignore signals
            _watch(number, events)
    threading.excepthook = lambda failed: events.put(failed.exc_value)
    terminal = Terminal(0) if tty and os.isatty(0) else None
    if tty:
        for number in _TERMINAL_SIGNALS:
            _watch(number, events)
    modes = TerminalModes() if tty and os.isatty(1) else None
    size = window_size() if tty else None
    with _signals_only_here():
        threading.Thread(target=_start, args=(connect, size, events), name="dockerexec-ws connect", daemon=True).start()
    process: Process | None = None
    relay: Relay | None = None
    ending: Ending | None = None
    try:
        while ending is None:
            match _next(events):
                case Process() as process:
                    if terminal is not None:
                        terminal.make_raw()
                    size = _resize(process, size)
                    keys = None if terminal is None else EscapeFilter(escape)
                    relay = Relay(process, events, escape=keys, modes=modes)
                    with _signals_only_here():
                        relay.start()
                case signal.SIGWINCH if process is not None:
                    size = _resize(process, size)
                case signal.SIGTSTP:
                    if terminal is not None:
                        terminal.restore()
                    os.kill(os.getpid(), signal.SIGSTOP)
                case signal.SIGCONT if process is not None and terminal is not None and terminal.in_foreground():
                    terminal.make_raw()  # the shell has set its own mode meanwhile
                    size = _resize(process, size)
                case Ending() as ending:
                    pass
                case signal.SIGWINCH | signal.SIGCONT:
                    pass  # nothing runs yet, or another program has the terminal
                case signal.Signals() as ended_by:
                    ending = Ending(128 + ended_by, signal=ended_by)
                case BaseException() as error:
                    raise error
    except termios.error as error:
        ending = Ending(OWN_FAILURE, f"cannot use the terminal: {error.args[-1]}")
    finally:
        if relay is not None and modes is not None:
            _tidy(relay, modes, ending)
        if terminal is not None:
            terminal.restore()
    return ending


def say(text: str) -> None:
    """Write one line about this program to stderr. Give up after a second if stderr is stuck."""
    line = "".join(character if character.isprintable() else " " for character in text)
    with contextlib.suppress(OSError):  # nobody reads it
        _last_words(2, f"dockerexec-ws-client: {line}\n".encode(errors="replace"))


def _next(events: "SimpleQueue[object]") -> object:
    """Wait for the next event. Look again each second: a signal that comes right before a wait does not end it."""
    while True:
        with contextlib.suppress(Empty):
            return events.get(timeout=1.0)


def _watch(number: signal.Signals, events: "SimpleQueue[object]") -> None:
    signal.signal(number, lambda number, _: events.put(signal.Signals(number)))


@contextlib.contextmanager
def _signals_only_here() -> Iterator[None]:
    """Block signals in the threads that are started meanwhile, and in the threads that those start.

    Python handles signals in the main thread, but a signal that another thread receives does not wake it. SIGCONT often
    goes to another thread.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDING_SIGNALS, *_TERMINAL_SIGNALS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(connect: Connect, size: tuple[int, int] | None, events: "SimpleQueue[object]") -> None:
    try:
        events.put(connect(size))
    except DockerExecError as error:
        events.put(Ending(OWN_FAILURE, str(error)))


def _resize(process: Process, known: tuple[int, int] | None) -> tuple[int, int] | None:
    """Send the window's size if it differs from the *known* one. Return the size that the process knows now."""
    size = window_size()
    if not process.tty or size is None or size == known:
        return known
    process.resize(*size)
    return size


def _tidy(relay: Relay, modes: TerminalModes, ending: Ending | None) -> None:
    """Make the terminal usable again if the program could not do so, and begin a new line for an error message."""
    if ending is not None and not ending.text and ending.status <= 128:
        return  # it exited by itself, so it left the modes on purpose
    if relay.stop_output(_STUCK_AFTER):
        sequence = modes.reset_sequence()
        if ending is not None and ending.text and not relay.line_ended:
            sequence += b"\r\n"
        with contextlib.suppress(OSError):  # the terminal is gone
            _last_words(1, sequence)


def _last_words(descriptor: int, data: bytes) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if data and poll.poll(_STUCK_AFTER * 1000):
        os.write(descriptor, data)
