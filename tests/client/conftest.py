import contextlib
import socket
import threading

import pytest


@pytest.fixture
def listen():
    """A function that listens for one connection and handles it with a given function in a thread; returns the URL."""
    with contextlib.ExitStack() as stack:

        def start(handle):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        handle(connection)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, 10)
            return f"ws://127.0.0.1:{listener.getsockname()[1]}/x"

        yield start
