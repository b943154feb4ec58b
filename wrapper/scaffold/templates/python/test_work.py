#!/usr/bin/env python3
"""Tests of the payload alone; `wrapper run` and `wrapper check` test it as a pilot runs it."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FRAMES = os.path.join(HERE, "test", "frames.stf")

sys.path.insert(0, HERE)
import work  # noqa: E402


class TestWork(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_every_frame_is_counted_and_every_output_is_there(self):
        result = work.work(FRAMES, 0, 7, self.folder)
        self.assertEqual(result["counts"]["frames"], 8)
        for output in result["outputs"]:
            self.assertGreater(os.path.getsize(os.path.join(self.folder, output["name"])), 0)

    def test_a_file_that_is_not_there_says_so(self):
        with self.assertRaises(work.Failure) as caught:
            work.work(os.path.join(self.folder, "none"), 0, 0, self.folder)
        self.assertEqual(caught.exception.status, work.DATA_MISSING)


if __name__ == "__main__":
    unittest.main()
