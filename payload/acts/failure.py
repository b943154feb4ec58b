"""How a slice fails: the exit statuses of the contract (docs/payloads.md) that are used here."""

FAILED, MISSING, CORRUPT, RANGE, INVALID, NO_SPACE = 10, 20, 21, 22, 23, 30


class Failure(Exception):
    def __init__(self, status, message):
        super().__init__(" ".join(message.split()))  # one line: the last one on stderr becomes the failure's message
        self.status = status
