# powd in an image of its own: one static program, no shell, no user database, nothing to write to.
#
#     docker build --build-arg REVISION=$(git rev-parse --short=12 HEAD) --tag powd .
#     docker run --rm --read-only --publish 20000:20000 powd

ARG RUST=docker.io/library/rust:1.89-bookworm

FROM ${RUST} AS build
WORKDIR /src
COPY . .
# `--version` tells it: .git is no part of what is built from.
ARG REVISION=unknown
# `dev` is built in a moment, for who tests the image and not what is in it.
ARG PROFILE=release
# glibc, linked in: powd looks up names with nothing but /etc/hosts and DNS, which takes no library at run time.
RUN POWD_REVISION=${REVISION} cargo rustc --locked --profile ${PROFILE} --bin powd -- \
        -C target-feature=+crt-static -C strip=symbols \
    && mkdir /image \
    && cp "${CARGO_TARGET_DIR:-target}/$(echo ${PROFILE} | sed s/^dev$/debug/)/powd" /image/powd

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="powd" \
      org.opencontainers.image.description="Proof-of-work hashing service" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/powd /powd
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# The admin address is not published by default; the health check asks it from inside.
ENV POWD_ADMIN=127.0.0.1:9100
EXPOSE 20000
# What powd has received it answers before it ends, within the 10 s that runtimes wait.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/powd", "health"]
ENTRYPOINT ["/powd"]
CMD ["serve"]
