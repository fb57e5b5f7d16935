"""The main thread of the command line: it owns the terminal's mode and how the program ends, and waits for events."""

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from dockerexec_ws.client.process import Process
from dockerexec_ws.client.terminal.ending import OWN_FAILURE, Ending
from dockerexec_ws.client.terminal.escape import EscapeFilter
from dockerexec_ws.client.terminal.private_modes import TerminalModes
from dockerexec_ws.client.terminal.raw_mode import Terminal, window_size
from dockerexec_ws.client.terminal.relay import Relay
from dockerexec_ws.errors import DockerExecError

_ENDING_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_TERMINAL_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
_STUCK_AFTER = 1.0  # seconds that a terminal has to take the last words

Connect = Callable[[tuple[int, int] | None], Process]


def attend(connect: Connect, *, tty: bool, escape: bytes) -> Ending:
    """Run the process that *connect* starts, by the size of its tty, from here: stdin, stdout, stderr and signals.

    With *tty* stdin is raw, if it is a terminal, and *escape* the character of the local escape (b"": there is none).
    It has been put back when this returns, with how the program is to end. The connection is the operating system's to
    close: a server ends the process of a client that is gone, and nobody who leaves waits for a server that hangs.
    """
    events: SimpleQueue[object] = SimpleQueue()  # its put() is safe in a signal handler
    for number in _ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a background job have it
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
            match events.get():
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
                    terminal.make_raw()  # a shell that stopped us has made it its own
                    size = _resize(process, size)
                case Ending() as ending:
                    pass
                case signal.SIGWINCH | signal.SIGCONT:
                    pass  # nothing runs yet, or another has the terminal
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
    """Write one line about this program to stderr, without ever waiting long for it."""
    line = "".join(character if character.isprintable() else " " for character in text)
    with contextlib.suppress(OSError):  # nobody listens
        _last_words(2, f"dockerexec-ws-client: {line}\n".encode(errors="replace"))


def _watch(number: signal.Signals, events: "SimpleQueue[object]") -> None:
    signal.signal(number, lambda number, _: events.put(signal.Signals(number)))


@contextlib.contextmanager
def _signals_only_here() -> Iterator[None]:
    """Have the threads that are started meanwhile, and theirs, leave signals to this one.

    Python handles them in the main thread, but one that another thread has got does not wake it (SIGCONT, often).
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
    """Tell the process the window's size if it is not the *known* one; return what it knows now."""
    size = window_size()
    if not process.tty or size is None or size == known:
        return known
    process.resize(*size)
    return size


def _tidy(relay: Relay, modes: TerminalModes, ending: Ending | None) -> None:
    """Make the terminal usable after a program that had no time to do so itself, and begin a new line on it."""
    if ending is not None and not ending.text and ending.status <= 128:
        return  # it exited by itself: what it left it has left on purpose
    if relay.stop_output(_STUCK_AFTER):
        sequence = modes.reset_sequence()
        if ending is not None and ending.text and not relay.line_ended:
            sequence += b"\r\n"
        with contextlib.suppress(OSError):  # it is gone
            _last_words(1, sequence)


def _last_words(descriptor: int, data: bytes) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if data and poll.poll(_STUCK_AFTER * 1000):
        os.write(descriptor, data)
