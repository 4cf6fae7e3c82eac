# gatepost in an image that holds nothing but the program, the libraries it is linked to and the public authorities.
#   docker build -t gatepost --build-arg GATEPOST_COMMIT="$(git describe --always --dirty)" .
#   docker run --read-only -v gatepost-data:/var/lib/gatepost -p 8443:8443 --env-file config/gatepost.env \
#     -v ./tls:/run/tls:ro gatepost

FROM rust:1-bookworm AS build
WORKDIR /src
# cmake is what aws-lc-rs falls back on where it has no prebuilt bindings for the platform.
RUN apt-get update && apt-get install -y --no-install-recommends cmake ca-certificates && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock build.rs ./
# How SQLite is compiled.
COPY .cargo .cargo
COPY src src
COPY config config
# Cargo wants every target of the manifest to exist; tests and benches are not built here.
COPY tests tests
COPY benches benches
# What `--version` says it is made from; git does not come along.
ARG GATEPOST_COMMIT
RUN cargo build --release --locked --bin gatepost
# The root of the final image: the binary, what the loader says it needs, authorities for https sinks, an empty
# directory for the volume. glibc 2.36 resolves names by itself, without NSS modules.
RUN set -eu; root=/rootfs; \
    mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/var/lib/gatepost" "$root/tmp"; \
    cp target/release/gatepost "$root/usr/bin/gatepost"; \
    ldd target/release/gatepost | grep -o '/[^ )]*' | sort -u | while read -r library; do \
      mkdir -p "$root$(dirname "$library")"; cp -L "$library" "$root$library"; done; \
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; \
    printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"; \
    printf 'gatepost:x:65532:65532::/var/lib/gatepost:/none\n' > "$root/etc/passwd"; \
    chown -R 65532:65532 "$root/var/lib/gatepost"

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
ENV GATEPOST_STORE=sqlite:/var/lib/gatepost/gatepost.db \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /var/lib/gatepost
VOLUME /var/lib/gatepost
EXPOSE 8443 9090
# The daemon drains on SIGTERM: five seconds of grace to the load balancer, then up to 25 to finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/usr/bin/gatepost", "healthcheck"]
ENTRYPOINT ["/usr/bin/gatepost"]
CMD ["serve"]
