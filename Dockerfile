# One image for each function, and for `ops` and `all-in-one`: a static program, the authorities that TLS believes, and
# nothing else. There is no shell, no package manager and no other user in it.
#   docker buildx build --build-arg FUNCTION=heartbeat .          scripts/image does so, with all that makes it repeatable

# Pin it by digest where a registry can be asked (`--build-arg RUST_IMAGE=rust@sha256:…`): a tag may move.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm

FROM ${RUST_IMAGE} AS chef
WORKDIR /src
ARG CARGO_CHEF_VERSION=0.1.78
RUN cargo install --locked --quiet cargo-chef --version "$CARGO_CHEF_VERSION"

# What the dependencies are, and nothing that changes with every commit.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM chef AS build
# BuildKit's scanner sees the dependencies here; in the last stage they are one file.
ARG BUILDKIT_SBOM_SCAN_STAGE=true
ARG FUNCTION
ARG PROFILE=release
COPY scripts/static scripts/static
COPY --from=plan /recipe.json /recipe.json
# A layer of its own: built again only where Cargo.lock, a manifest or the flags change.
RUN scripts/static --dependencies /recipe.json "$FUNCTION" "$PROFILE"
COPY . .
# The vendor's public keys, a JWKS document, for an `all-in-one` that customers run: it then needs an enterprise license.
ARG CODITECT_VENDOR_JWKS
RUN mkdir -p /image/etc/ssl/certs \
    && scripts/static "$FUNCTION" "$PROFILE" /image/function \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
COPY --from=build /image/ /
# A number, so that whoever runs it can see that it isn't root. It owns nothing in here and need not write.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/function"]
