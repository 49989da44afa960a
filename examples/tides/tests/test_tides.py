import unittest

from tides import api, board, table


class Tides(unittest.TestCase):
    def test_two_high_waters_a_day(self):
        for harbour in table.HARBOURS:
            waters = table.high_waters(harbour, "2026-06-21")
            self.assertEqual(len(waters), 2)
            hours = [int(water["time"][:2]) for water in waters]
            self.assertIn(hours[1] - hours[0], (12, 13))

    def test_springs_are_higher_than_neaps(self):
        highest = [max(w["metres"] for w in table.high_waters("Ellery", f"2026-01-{day:02}")) for day in range(1, 16)]
        self.assertGreater(max(highest) - min(highest), 0.9)

    def test_places(self):
        self.assertEqual(api.answer("/harbours"), (200, ["Ellery", "Sandwyke"]))
        self.assertEqual(api.answer("/harbours/Ellery/2026-06-21")[0], 200)
        self.assertEqual(api.answer("/harbours/Ellery/soon")[0], 400)
        self.assertEqual(api.answer("/harbours/Atlantis/2026-06-21")[0], 404)

    def test_a_line_of_the_board(self):
        waters = [{"time": "03:26", "metres": 5.0}, {"time": "15:51", "metres": 4.85}]
        self.assertEqual(board.line("Ellery", waters), "Ellery      03:26 5.0 m  15:51 4.8 m")
