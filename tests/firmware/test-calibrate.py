#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""smartbms-calibrate against the firmware's own reader: what it writes is what a board believes, and the board is right then.

  test-calibrate.py SMARTBMS-CALIBRATE BOARD-EEPROM

Boards of random gain and offset keep their sums at two voltages; the file goes through objcopy to Intel HEX and back, so that
neither side is read by what wrote it.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL, BOARD = sys.argv[1:3]
NTC, BANDGAP = 8192, 14418  # 25 degC, 1.1 V


def tool(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


class Board:
    """An EEPROM, and an ADC that reads sum = (mV - offset) / gain * 65536."""

    def __init__(self, folder, gain=20450.0, offset=0.0, bandgap=BANDGAP):
        self.gain, self.offset, self.bandgap = gain, offset, bandgap
        self.bin, self.hex, self.out = (os.path.join(folder, name) for name in ("e.bin", "e.hex", "out.hex"))
        self.ask("blank")

    def ask(self, command, *arguments):
        return subprocess.run([BOARD, command, self.bin, *map(str, arguments)], capture_output=True, text=True,
                              check=True).stdout.strip()

    def sums(self, millivolts):
        return round((millivolts - self.offset) / self.gain * 65536), NTC, self.bandgap

    def power(self, millivolts):
        return self.ask("raw", *self.sums(millivolts))

    def reading(self, millivolts):
        return [int(word) for word in self.ask("reading", *self.sums(millivolts)).split()]

    def read(self):
        """avrdude's part: EEPROM to Intel HEX."""
        subprocess.run(["objcopy", "-I", "binary", "-O", "ihex", self.bin, self.hex], check=True)

    def write(self):
        """avrdude's part: the bytes that the file has, into the EEPROM."""
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run(["objcopy", "-I", "ihex", "-O", "binary", self.out, file.name], check=True)
            data = file.read()
        with open(self.out, encoding="ascii") as text:
            first = int(text.readline()[3:7], 16)
        with open(self.bin, "r+b") as eeprom:
            eeprom.seek(first)
            eeprom.write(data)


class Calibrate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def calibrated(self, board, low, high):
        self.assertEqual(board.power(low), "kept")
        self.assertEqual(board.power(high), "kept")
        board.read()
        done = tool("calibrate", "--low", low / 1000, "--high", high / 1000, board.hex, board.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        board.write()

    def test_boards_are_right(self):
        rng = random.Random(2026)
        for _ in range(12):
            board = Board(self.folder, rng.uniform(20260, 20640), rng.uniform(-24, 24), rng.randint(13200, 15600))
            self.calibrated(board, rng.randint(2300, 2700), rng.randint(4300, 4700))
            for millivolts in [2000, 3300, 3650, 5000] + [rng.randint(2000, 5000) for _ in range(5)]:
                voltage, temperature, faults = board.reading(millivolts)
                # Half of 5 mV; half a step of each sum: 0.16 mV, and a third more of it beyond the two points.
                self.assertLessEqual(abs(voltage * 5 - millivolts), 2.5 + 0.16 + 1.5 * 0.16 + 0.1)
                self.assertEqual((temperature, faults), (25 + 276, 0))

    def test_exact_values(self):
        # Sums of 8000 and 14000 at 2.5 and 4.375 V: 1875 mV / 6000 x 65536 = 20480; 2500 - 8000 x 20480 / 65536 = 0.
        board = Board(self.folder)
        board.ask("raw", 8000, NTC, 14400)
        board.ask("raw", 14000, NTC, 14411)
        board.read()
        self.assertEqual(tool("calibrate", "--low", "2.5", "--high", "4.375", board.hex, board.out).returncode, 0)
        board.write()
        self.assertEqual(board.ask("show"), "calibration 20480 0 14405")
        # The same 12.3 mV higher.
        self.assertEqual(tool("calibrate", "--low", "2.5123", "--high", "4.3873", board.hex, board.out).returncode, 0)
        board.write()
        self.assertEqual(board.ask("show"), "calibration 20480 123 14405")

    def test_uncalibrated_board_is_off(self):
        # That the above can fail: such a board is 0.9 % off without it.
        board = Board(self.folder, 20450 * 1.009)
        self.assertGreater(abs(board.reading(5000)[0] * 5 - 5000), 40)

    def test_other_records_stay(self):
        board = Board(self.folder)
        board.ask("trim", 0x77)
        self.calibrated(board, 2500, 4500)
        self.assertIn("trim 119", board.ask("show"))
        self.assertEqual(len(board.ask("show").splitlines()), 2)

    def test_a_board_keeps_its_first_sums_only(self):
        board = Board(self.folder)
        self.assertEqual(board.power(2500), "kept")
        self.assertEqual(board.power(2600), "not kept")
        self.assertEqual(board.power(3300), "not kept")
        self.assertEqual(board.power(4500), "kept")
        self.assertEqual(board.power(5000), "not kept")

    def test_again(self):
        board = Board(self.folder)
        self.calibrated(board, 2500, 4500)
        before = board.ask("show")
        # Not without `start`: the board has a calibration, and keeps nothing.
        board.gain *= 1.009
        self.assertEqual(board.power(2500), "not kept")
        board.read()
        self.assertEqual(tool("start", board.hex, board.out).returncode, 0)
        board.write()
        self.assertEqual(board.ask("show"), "")
        self.calibrated(board, 2500, 4500)
        self.assertNotEqual(board.ask("show"), before)
        self.assertLessEqual(abs(board.reading(5000)[0] * 5 - 5000), 3)
        # A newer record beats the older one, which stays.
        board.read()
        self.assertEqual(tool("calibrate", "--low", 2.51, "--high", 4.51, board.hex, board.out).returncode, 0)
        board.write()
        self.assertEqual(board.reading(3300)[0], 662)
        with open(board.bin, "rb") as eeprom:
            data = eeprom.read()
        self.assertEqual((data[40], data[52]), (0xA1, 0xA1))

    def test_newest_is_shown(self):
        board = Board(self.folder)
        for code in (1, 2, 3, 4):
            board.ask("trim", code)
            board.read()
            self.assertIn(f"OSCCAL 0x0{code}", tool("show", board.hex).stdout)

    def test_show(self):
        board = Board(self.folder)
        board.ask("trim", 0x77)
        board.power(2500)
        board.read()
        text = tool("show", board.hex).stdout
        self.assertIn("OSCCAL 0x77", text)
        self.assertRegex(text, r"raw-low: +sums: cell 8012, NTC 8192, bandgap 14418")
        self.assertRegex(text, r"raw-high: +none")

    def refused(self, board, words, *arguments):
        if os.path.exists(board.out):
            os.unlink(board.out)
        done = tool(*arguments, board.hex, board.out)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertFalse(os.path.exists(board.out))

    def test_refusals(self):
        board = Board(self.folder)
        board.power(2500)
        board.read()
        self.refused(board, "kept no sums at a high voltage", "calibrate", "--low", 2.5, "--high", 4.5)
        board.power(4500)
        board.read()
        for low, high in (("2.29", "4.5"), ("2.71", "4.5"), ("2.5", "4.29"), ("2.5", "4.71")):
            self.refused(board, "must lie between", "calibrate", "--low", low, "--high", high)
        # The meter's readings belong to another board: the gain is 20 % off.
        self.refused(board, "no sound board", "calibrate", "--low", 2.3, "--high", 4.7)
        # An offset of +50 mV.
        self.refused(board, "no sound board", "calibrate", "--low", 2.55, "--high", 4.55)
        self.assertEqual(tool("calibrate", "--low", "x", "--high", 4.5, board.hex, board.out).returncode, 2)

    def test_damaged_files(self):
        board = Board(self.folder)
        board.power(2500)
        board.power(4500)
        board.read()
        with open(board.hex, encoding="ascii") as file:
            sound = file.read().replace("\r", "").splitlines()
        cases = {
            "wrong length or check byte": [sound[0][:-1] + ("0" if sound[0][-1] != "0" else "1")] + sound[1:],
            "no end record": sound[:-1],
            "not a line of Intel HEX": ["garbage"] + sound,
            "something after": sound + sound[:1],
            "beyond the 1024 bytes": [":01040000FFFC"] + sound,
            "a record of kind": [":0400000300000000F9"] + sound,
        }
        for words, lines in cases.items():
            with open(board.hex, "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
            self.refused(board, words, "calibrate", "--low", 2.5, "--high", 4.5)
        os.unlink(board.hex)
        self.refused(board, "No such file", "start")


if __name__ == "__main__":
    if not shutil.which("objcopy"):
        print("skipped: no objcopy here (apt install binutils)")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v"])
