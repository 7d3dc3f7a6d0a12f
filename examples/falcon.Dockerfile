# The image of a submission to the FALCON challenge; docs/falcon.md has the steps.
#
#     docker build -t mysubmission -f falcon.Dockerfile .
#
# The folder has falcon.py and models/. Lines marked FALCON are what the challenge's template asks for; leave
# them as they are.
FROM python:3.11-slim

# Our decoders run on a CPU, and only the evaluator imports torch: without GPU libraries the image is small.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch

# FALCON: the newest state of its package.
RUN apt-get update && apt-get install -y git
RUN git clone https://github.com/snel-repo/falcon-challenge.git
RUN pip install --no-cache-dir -e falcon-challenge

# From a checkout of your own instead: COPY its folder, and pip install that.
RUN pip install --no-cache-dir rtdecode

# FALCON: where its server finds the recordings, and what was decoded.
ENV PREDICTION_PATH="/submission/submission.csv"
ENV PREDICTION_PATH_LOCAL="/tmp/submission.pkl"
ENV GT_PATH="/tmp/ground_truth.pkl"
ENV EVAL_DATA_PATH="/dataset/evaluation_data"

# FALCON: remote on its server; local scores your own minival files.
ENV EVALUATION_LOC="remote"
# FALCON: h1, m1 or m2; minival or test.
ENV SPLIT="m2"
ENV PHASE="test"
# Sessions at a time: at most 8 (h1), 4 (m1), 7 (m2).
ENV BATCH_SIZE="7"

WORKDIR /app
COPY models/ models/
COPY falcon.py falcon.py

# Kernels are compiled now: on the server the first bin would wait for them.
ENV NUMBA_CACHE_DIR="/app/kernels"
RUN python -c "from pathlib import Path; from rtdecode.decode.load import open_model; [open_model(path) for path in Path('models').glob('*.safetensors')]"

CMD ["/bin/bash", "-c", "python falcon.py --evaluation $EVALUATION_LOC --split $SPLIT --phase $PHASE --models models --batch-size $BATCH_SIZE"]
