# gatepost in an image that holds nothing but the program, the libraries it is linked to and the public authorities.
#   docker build -t gatepost --build-arg GATEPOST_COMMIT="$(git describe --always --dirty)" .
#   docker run --read-only -v gatepost-data:/var/lib/gatepost -p 8443:8443 --env-file config/gatepost.env \
#     -v ./tls:/run/tls:ro gatepost
# docs/install.md says more. Written for the classic builder as well as for BuildKit; what is built on is all there is: no
# package is installed on the way.

# The version that the tests ran with. A digest pins it to the byte:
#   --build-arg BUILD_IMAGE=rust:1.95.0-bookworm@sha256:…
ARG BUILD_IMAGE=rust:1.95.0-bookworm
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# cargo's profile: `dev` compiles in a fraction of the time and runs many times slower.
ARG PROFILE=release

# The dependencies: a layer that lasts until they change. Cargo wants every target of the manifest to exist; empty ones do.
COPY Cargo.toml Cargo.lock ./
# How SQLite is compiled, and by which profile a release is.
COPY .cargo .cargo
RUN set -eu; \
    sed -n 's/^path = "\(.*\.rs\)"$/\1/p' Cargo.toml | while read -r target; do \
      mkdir -p "$(dirname "$target")"; echo 'fn main() {}' > "$target"; done; \
    touch src/lib.rs; \
    cargo build --profile "$PROFILE" --locked --bin gatepost

COPY build.rs askama.toml ./
COPY src src
# `gatepost dev` has it within.
COPY config/dev.toml config/
# What `--version` says it is made from; git does not come along.
ARG GATEPOST_COMMIT
# Files keep the time they were changed last, which may be before the empty ones were compiled.
RUN touch src/lib.rs src/main.rs && cargo build --profile "$PROFILE" --locked --bin gatepost
# The root of the final image: the binary, what the loader says it needs, authorities for https sinks, an empty
# directory for the volume. glibc 2.36 resolves names by itself, without NSS modules.
RUN set -eu; root=/rootfs; \
    mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/var/lib/gatepost" "$root/tmp"; \
    cp target/*/gatepost "$root/usr/bin/gatepost"; \
    ldd "$root/usr/bin/gatepost" | grep -o '/[^ )]*' | sort -u | while read -r library; do \
      mkdir -p "$root$(dirname "$library")"; cp -L "$library" "$root$library"; done; \
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; \
    printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"; \
    printf 'gatepost:x:65532:65532::/var/lib/gatepost:/none\n' > "$root/etc/passwd"; \
    chown -R 65532:65532 "$root/var/lib/gatepost"

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
# None of gatepost's own variables: they would win over its file, and stand in the way of those with _FILE.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /var/lib/gatepost
VOLUME /var/lib/gatepost
EXPOSE 8443 9090
# The daemon drains on SIGTERM: five seconds of grace to the load balancer, then up to 25 to finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/usr/bin/gatepost", "healthcheck"]
ENTRYPOINT ["/usr/bin/gatepost"]
CMD ["serve"]
