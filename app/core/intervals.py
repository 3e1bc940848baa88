"""Say between which bounds a figure lies with 95 % confidence, given how many runs it is from."""

from math import exp, log, sqrt

Interval = tuple[float, float]
"""The lower and the upper bound."""

Z95 = 1.959963984540054
"""The standard normal's 97.5 % point: two sides of 2.5 % are left."""

_EXACT_T = (12.706204736, 4.302652730, 3.182446305)
"""Student's t for one to three degrees of freedom; the series serves from four on."""


def wilson(count: int, of: int) -> Interval | None:
    """The interval of a rate by Wilson's score; None where nothing was counted.

    Always within 0 to 1, and sensible for few runs and for rates of 0 and 1.
    """
    if of <= 0:
        return None
    rate, weight = count / of, Z95 * Z95 / of
    centre = (rate + weight / 2) / (1 + weight)
    reach = Z95 / (1 + weight) * sqrt(rate * (1 - rate) / of + weight / (4 * of))
    low = 0.0 if count == 0 else max(0.0, centre - reach)
    high = 1.0 if count == of else min(1.0, centre + reach)
    return low, high


def rate_difference(count: int, of: int, count_before: int, of_before: int) -> Interval | None:
    """The interval of a rate less the rate before it, of different runs (Newcombe's method)."""
    now, before = wilson(count, of), wilson(count_before, of_before)
    if now is None or before is None:
        return None
    rate, rate_before = count / of, count_before / of_before
    down = sqrt((rate - now[0]) ** 2 + (before[1] - rate_before) ** 2)
    up = sqrt((now[1] - rate) ** 2 + (rate_before - before[0]) ** 2)
    return max(-1.0, rate - rate_before - down), min(1.0, rate - rate_before + up)


def mean_interval(count: int, total: float, squares: float) -> Interval | None:
    """The interval of a mean (Student's t) from a sum and a sum of squares; None below two."""
    error = standard_error(count, total, squares)
    if error is None:
        return None
    mean, reach = total / count, student_t(count - 1) * error
    return mean - reach, mean + reach


def ratio_interval(
    count: int,
    total: float,
    squares: float,
    count_before: int,
    total_before: float,
    squares_before: float,
) -> Interval | None:
    """The interval of a mean over the mean before it, of different runs; both means above zero.

    By the delta method on the logarithm: 0.7 to 0.8 says 20 to 30 % less than before. None where
    there are fewer than two runs on either side, or a mean is not above zero.
    """
    error = standard_error(count, total, squares)
    error_before = standard_error(count_before, total_before, squares_before)
    if error is None or error_before is None or total <= 0 or total_before <= 0:
        return None
    mean, mean_before = total / count, total_before / count_before
    spread = sqrt((error / mean) ** 2 + (error_before / mean_before) ** 2)
    reach = student_t(min(count, count_before) - 1) * spread
    middle = log(mean / mean_before)
    return exp(max(middle - reach, -_MOST)), exp(min(middle + reach, _MOST))


_MOST = 700.0
"""A logarithm that floats still have a number for."""


def standard_error(count: int, total: float, squares: float) -> float | None:
    """The standard error of a mean; None below two values."""
    if count < 2:
        return None
    variance = max(0.0, squares - total * total / count) / (count - 1)
    return sqrt(variance / count)


def student_t(freedom: int) -> float:
    """The 97.5 % point of Student's t with so many degrees of freedom (at least one)."""
    if freedom <= len(_EXACT_T):
        return _EXACT_T[freedom - 1]
    z, v = Z95, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92_160 * v**4)
    )
