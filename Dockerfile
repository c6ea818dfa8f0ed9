# A run, served on a CPU to whoever has the token, which the container's log tells:
#
#   docker build -t finelens .
#   docker run --rm --read-only --tmpfs /tmp -p 7860:7860 -v "$PWD/runs/voc:/runs/voc:ro" \
#     finelens /runs/voc
#
# More options of `finelens serve` may follow. The pictures that the page shows of the run's own data
# lie where it was trained: mount them under the same path to see them.
#
# The wheels of torch that pip finds by itself bring CUDA, some GB. For those without it, add
# --build-arg PIP_EXTRA_INDEX_URL=... with the address that torch's own page for CPUs names.
FROM python:3.12-slim

ARG PIP_EXTRA_INDEX_URL
RUN useradd --uid 10001 --create-home finelens
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --constraint constraints.txt .

USER finelens
# libraries keep their caches where a container that is read-only may still write
ENV HOME=/tmp PYTHONUNBUFFERED=1
EXPOSE 7860
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["finelens", "serve", "--host", "0.0.0.0", "--port", "7860"]
