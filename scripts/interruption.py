"""Ctrl-C and other requests to end, for a program that wants to save its work first."""

import contextlib
import os
import signal
import sys

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# A terminal is closed or a connection lost; whoever began the program with nohup wants to go on.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    SIGNALS.append(signal.SIGHUP)


class Interruption:
    """While it is open, the first of these signals ends the program in order, the second at once.

    In order means: at once too, but with a word on how to go on, and inside of `postponed` not
    before the program itself calls `end`.

    Attributes
    ----------
    asked : whether there was a signal that has been postponed
    last_words : function to the text that is printed before the program ends
    """

    def __init__(self):
        self.asked = False
        self.last_words = lambda: "... stopped before training began"
        self._number = None
        self._postponed = False

    def __enter__(self):
        for number in SIGNALS:
            signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception):
        # What is left is Python's own end, which a signal would turn into a traceback.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def postponed(self):
        """A context in which a signal is only noted: whoever works there looks at `asked`."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False
            if self.asked and sys.exception() is None:
                self.end()

    def say(self, *words):
        """Print a line; if nobody reads any more, take that for a request to end."""
        try:
            print(*words, flush=True)
        except OSError:
            if not self.asked:
                os.kill(os.getpid(), signal.SIGTERM)

    def end(self):
        """Say the last words, and end with the status that shells give to such a signal."""
        try:
            # On a screen, the signal's ^C or a progress bar stands in the line.
            print("\n" * sys.stdout.isatty() + self.last_words(), flush=True)
        finally:
            # Whatever happens to the words. And not by sys.exit: the signal may have come anywhere,
            # as in a callback that ignores errors.
            os._exit(128 + self._number)

    def _receive(self, number, frame):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._number = number
        self.asked = True
        if not self._postponed:
            self.end()
