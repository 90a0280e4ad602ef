# The images of `make images`, where there is a builder: the same program builds the same files.
#
#   docker build --build-arg PROGRAM=ordermill-operator --tag ordermill-operator:0.1.0 .
#   docker build --build-arg PROGRAM=ordermill-workload --tag ordermill-workload:0.1.0 .
#
# REVISION and CREATED are for labels: $(git rev-parse HEAD), $(git log -1 --format=%cI).
# images/tests/dockerfile.rs holds what is said here against the archives.
ARG PROGRAM=ordermill-operator

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make perl \
    && rm -rf /var/lib/apt/lists/*
# The toolchain of the image: rust-toolchain.toml asks for components that a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /ordermill
COPY . .
RUN cargo run --locked --package ordermill-images -- roots --output /roots

# An entry point cannot hold an argument of the build, so that each program has a stage.
FROM scratch AS ordermill-operator
LABEL org.opencontainers.image.title="Ordermill operator"
LABEL org.opencontainers.image.description="Turns Ordermill's resources into workloads and keeps them as declared"
ENTRYPOINT ["/ordermill-operator"]

FROM scratch AS ordermill-workload
LABEL org.opencontainers.image.title="Ordermill workload"
LABEL org.opencontainers.image.description="Sends the events that a resource of Ordermill declares to Kafka"
ENTRYPOINT ["/ordermill-workload"]

FROM ${PROGRAM}
ARG PROGRAM
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="0.1.0"
LABEL org.opencontainers.image.revision="${REVISION}"
LABEL org.opencontainers.image.created="${CREATED}"
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
COPY --from=build /roots/${PROGRAM}/ /
USER 65532:65532
