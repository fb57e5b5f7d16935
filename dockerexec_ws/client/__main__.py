"""``python -m dockerexec_ws.client`` and the console script."""

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, and end with its exit status or by the signal that ended it."""
    # Until the main loop handles signals, Ctrl-C ends the program at once, without a traceback of an import.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_standard_streams()

    from dockerexec_ws.client.terminal.cli import run  # after the signal

    status, number = run()
    if number:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # has no effect on the first process of a container
    # Do not wait for the threads that wait for input or for the server.
    os._exit(status)


def _open_standard_streams() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that is closed. Otherwise a socket would get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main()
