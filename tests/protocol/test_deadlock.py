"""Flow control between a model of the original's client and a process: no order of their moves leads to a deadlock."""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.protocol.v1 import Code
from tests.protocol.test_flow import MIB, sizes

CLIENT_LIMIT = 8 * MIB  # MAX_OUTSTANDING_BYTES in the client's client.js
STDIN_LIMIT = 8 * MIB  # above this the session does not read from the client
OUTPUT_LIMIT = 8 * MIB  # above this the process cannot write

PAUSE, RESUME, END = ((code, 0, 1) for code in (Code.PAUSE, Code.RESUME, Code.END))


@dataclass
class Conversation:
    """A model of the original's client, a session around FlowControl, and a process. Each step moves one of them.

    A message in transit is a tuple: its code, the number of payload bytes, and the number with the codes, which the
    client counts. An upload is stdin in messages of at most *line* bytes, sent together. The process writes *echo*
    bytes for each byte that it takes (1 makes it cat), and *output* bytes of its own. It stops while there is no room
    for its output.
    """

    uploads: list[int]
    line: int = 16 * MIB
    echo: int = 1
    output: int = 0
    portion: int = 65536
    flow: FlowControl = field(default_factory=FlowControl)

    def __post_init__(self):
        self.unwritten = deque((Code.STDIN, size, size + max(1, -(-size // self.line))) for size in self.uploads)
        self.unwritten.append(END)
        self.queue = deque()  # the client's strbuf
        self.client_paused = True  # until the first 100
        self.client_draining = False
        self.outstanding = 0  # sent by the client, not yet read by the session
        self.to_server = deque()
        self.to_client = deque([RESUME])
        self.ended = False  # END was read
        self.unsent_output = 0

    # Each step returns whether it could do anything.

    def user_writes(self):
        if not self.unwritten:
            return False
        self.queue.append(self.unwritten.popleft())
        return True

    def user_reads(self):
        if not self.client_draining:
            return False
        self.client_draining = False
        self.queue.append(RESUME)
        return True

    def client_sends(self):
        if self.client_paused or not self.queue:
            return False
        message = self.queue.popleft()
        self.to_server.append(message)
        self.outstanding += message[2]
        self.client_paused = self.outstanding > CLIENT_LIMIT
        return True

    def client_receives(self):
        if not self.to_client:
            return False
        code, *_ = self.to_client.popleft()
        if code is Code.STDOUT:
            # The worst case for a client's user: no write to stdout finds room.
            self.queue.append(PAUSE)
            self.client_draining = True
        else:
            self.client_paused = code is Code.PAUSE
        return True

    def session_reads(self):
        if not self.to_server or self.flow.stdin_pending > STDIN_LIMIT:
            return False
        code, size, bulk = self.to_server.popleft()
        self.outstanding -= bulk
        match code:
            case Code.STDIN:
                if self.flow.stdin_received(size):
                    self.to_client.append(PAUSE)
            case Code.PAUSE:
                self.flow.peer_paused()
            case Code.RESUME:
                self.flow.peer_resumed()
            case Code.END:
                self.ended = True
        return True

    def session_writes(self):
        if not self.unsent_output or self.flow.output_held:
            return False
        self.to_client.append((Code.STDOUT, self.unsent_output, 1 + self.unsent_output))
        self.unsent_output = 0
        return True

    def process_takes(self):
        size = min(self.flow.stdin_pending, self.portion)
        if not size or self.unsent_output >= OUTPUT_LIMIT:
            return False
        self.unsent_output += size * self.echo
        if self.flow.stdin_taken(size):
            self.to_client.append(RESUME)
        return True

    def process_writes(self):
        if not self.output or self.unsent_output >= OUTPUT_LIMIT:
            return False
        size = min(self.output, OUTPUT_LIMIT)
        self.output -= size
        self.unsent_output += size
        return True

    @property
    def done(self):
        left = self.unwritten or self.queue or self.to_server or self.to_client or self.output or self.unsent_output
        return self.ended and not left and not self.flow.stdin_pending


STEPS = (
    Conversation.user_writes,
    Conversation.user_reads,
    Conversation.client_sends,
    Conversation.client_receives,
    Conversation.session_reads,
    Conversation.session_writes,
    Conversation.process_takes,
    Conversation.process_writes,
)


def run(conversation, orders):
    """Take steps until none is possible. Each order lasts for its number of steps; its first possible step is taken.

    The last order stays in force. If it puts one side last, the others go as far as they can without that side.
    """
    for order, count in orders:
        for _ in range(count):
            any(step(conversation) for step in order)
    while any(step(conversation) for step in orders[-1][0]):
        pass


orders = st.lists(st.tuples(st.permutations(STEPS), st.integers(1, 40)), min_size=1, max_size=6)
conversations = st.builds(
    Conversation,
    uploads=st.lists(sizes, max_size=12),
    line=st.sampled_from([1, 100, 16 * MIB]),
    echo=st.integers(0, 2),
    output=st.sampled_from([0, 1, 8 * MIB, 40 * MIB]),
    portion=st.sampled_from([65536, MIB - 1, 16 * MIB]),
)


@settings(max_examples=1000, deadline=None)
@given(conversations, orders)
def test_a_client_built_as_the_originals_never_deadlocks(conversation, orders):
    run(conversation, orders)
    assert conversation.done, conversation.__dict__


def steps(conversation, *steps):
    for step in steps:
        assert step(conversation), step


def conversation_with_output_held(**options):
    """The client's user has not read the first output, so the client has paused. Nothing was uploaded yet."""
    conversation = Conversation(output=16 * MIB, portion=16 * MIB, **options)
    steps(
        conversation,
        Conversation.client_receives,
        Conversation.process_writes,
        Conversation.session_writes,
        Conversation.client_receives,
        Conversation.client_sends,
        Conversation.session_reads,
    )
    assert conversation.flow.output_held
    return conversation


@pytest.mark.parametrize(
    ("uploads", "line"),
    [([4 * MIB - 1, 4 * MIB], 16 * MIB), ([3_800_000, 3_900_000], 10), ([2_200_000, 2_200_000], 1)],
)
def test_no_deadlock_when_the_client_pauses_itself_while_output_is_held(uploads, line):
    """The client counts the codes, too, so that up to half of the 8 MiB before its pause is not stdin."""
    conversation = conversation_with_output_held(uploads=uploads, line=line, echo=0)
    steps(
        conversation,
        Conversation.user_writes,
        Conversation.user_writes,
        Conversation.client_sends,
        Conversation.client_sends,
        Conversation.session_reads,
        Conversation.process_takes,
        Conversation.process_writes,
    )
    run(conversation, [(STEPS, 0)])
    assert conversation.done, conversation.__dict__


def test_the_model_can_show_a_deadlock(monkeypatch):
    """A server that obeys every 101 is known to hang with the original's client."""
    monkeypatch.setattr(FlowControl, "output_held", property(lambda flow: flow._peer_paused))
    conversation = conversation_with_output_held(uploads=[16 * MIB - 1] * 2)
    steps(
        conversation,
        Conversation.user_writes,
        Conversation.client_sends,
        Conversation.session_reads,
        Conversation.client_receives,
    )
    run(conversation, [(STEPS, 0)])
    assert not conversation.done
