"""Scores pairs of WAV files by ITU-T P.862 (narrow band): what was sent to the mask as G.711 against
what the agent heard; a pair of equal files scores 4.55. Needs PyPI's `pesq` and `numpy`. Usage: score_voice.py FOLDER [WORST_MEAN]"""

import sys
import wave
from collections import defaultdict
from pathlib import Path

import numpy
from pesq import pesq


def read(path):
    with wave.open(str(path)) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def main():
    folder, bar = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None
    scores = defaultdict(list)
    for path in sorted(folder.glob("*.sent.wav")):
        name = path.name.removesuffix(".sent.wav")
        sent, heard = read(path), read(folder / f"{name}.heard.wav")
        length = min(len(sent), len(heard))
        scores[name.split("-")[0]].append((pesq(8000, sent[:length], heard[:length], "nb"), name))
    everything = [score for group in scores.values() for score in group]
    if not everything:
        sys.exit(f"no pairs in {folder}")
    for group, found in [*scores.items(), ("all", everything)]:
        values = [score for score, _ in found]
        worst, name = min(found)
        half = 1.96 * numpy.std(values) / len(values) ** 0.5
        print(f"{group}: mean {numpy.mean(values):.2f} ± {half:.2f} of {len(values)}, worst {worst:.2f} ({name})")
    if bar and numpy.mean([score for score, _ in everything]) < bar:
        sys.exit(f"below {bar}")


main()
