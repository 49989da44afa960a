"""When the water is high: a sum of waves, each with a period of the moon's or the sun's."""

from datetime import datetime, timedelta, timezone
from math import cos, radians

# Degrees an hour: the moon twice a day, the sun twice a day, both once a day.
SPEEDS = (28.984104, 30.0, 15.041069)
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)

# The mean level in metres, then height and delay (degrees) of each wave.
HARBOURS = {
    "Ellery": (3.1, ((1.9, 112.0), (0.6, 151.0), (0.1, 20.0))),
    "Sandwyke": (2.4, ((1.2, 301.0), (0.4, 338.0), (0.2, 75.0))),
}


def height(harbour, hours):
    """Metres, so many hours after the epoch."""
    mean, waves = HARBOURS[harbour]
    return mean + sum(high * cos(radians(speed * hours - delay)) for speed, (high, delay) in zip(SPEEDS, waves))


def high_waters(harbour, day):
    """Time and height of each high water of a day (UTC), to the minute."""
    begin = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    first = (begin - EPOCH) / timedelta(minutes=1)
    heights = [height(harbour, (first + minute) / 60) for minute in range(-1, 24 * 60 + 1)]
    found = []
    for minute, (before, now, after) in enumerate(zip(heights, heights[1:], heights[2:])):
        if before < now >= after:
            found.append({"time": f"{minute // 60:02}:{minute % 60:02}", "metres": round(now, 1)})
    return found
