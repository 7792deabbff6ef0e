"""The verdict of a soak: what it takes for growth, and what it does not."""

import random
import unittest

from trend import grows, medians


class Trend(unittest.TestCase):
    def series(self, slope=0.0, noise=0.0, n=300):
        draw = random.Random(1)
        return [1000 + slope * i + draw.uniform(-noise, noise) for i in range(n)]

    def test_what_is_flat_or_noisy_does_not_grow(self):
        self.assertFalse(grows(self.series(), 0))
        self.assertFalse(grows(self.series(noise=200), 10))

    def test_a_leak_grows_in_spite_of_noise(self):
        self.assertTrue(grows(self.series(slope=1), 10))
        self.assertTrue(grows(self.series(slope=1, noise=50), 10))

    def test_a_single_descriptor_more_all_the_time_is_growth(self):
        self.assertTrue(grows([20] * 150 + [22] * 150, 1))
        self.assertFalse(grows([20] * 150 + [21] * 150, 1))

    def test_warming_up_and_a_peak_are_not(self):
        self.assertFalse(grows([i * 20 for i in range(50)] + self.series()[50:], 10))
        self.assertFalse(grows(self.series()[:-20] + [9000] * 20, 10))

    def test_shrinking_is_not(self):
        self.assertFalse(grows(self.series(slope=-1), 0))

    def test_medians(self):
        self.assertEqual(medians([9] * 2 + [1] * 4 + [2] * 4 + [3] * 2), (1, 3, 0))


if __name__ == "__main__":
    unittest.main()
