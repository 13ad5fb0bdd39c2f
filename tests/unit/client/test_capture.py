"""What leaves the process of an exception: bounded, and without secrets wherever a long text is cut."""

from huoyan.client.capture import MAX_MESSAGE_CHARS, Capture

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5NXgL0n3I9PlFUP0THsR8U"


def test_no_half_of_a_secret_is_left_where_a_long_message_is_cut():
    capture = Capture()
    half = MAX_MESSAGE_CHARS // 2
    for offset in range(0, len(TOKEN), 9):
        before = "x " * half
        message = f"{before[: half - offset - 1]} {TOKEN} {'y ' * half}{TOKEN} {'z' * (half - offset)}"
        shown = capture.exception(ValueError(message), traceback="").message
        assert "left out" in shown
        assert not any(part in shown for part in ("eyJ", "dozj", "THsR8U", TOKEN[-12:]))
