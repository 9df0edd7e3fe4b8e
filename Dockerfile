# The program and what it needs to trust servers and tell the time, nothing else. For another architecture:
# docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=$(git describe --tags --always) .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
# The first two are set by the builder; a default here would win over it.
ARG TARGETOS TARGETARCH
ARG VERSION=unknown REVISION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -buildvcs=false -trimpath \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=$VERSION -X github.com/prometheus/common/version.Revision=$REVISION" \
    -o /stability_exporter . \
 && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /zoneinfo.zip

FROM scratch
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="stability_exporter" \
      org.opencontainers.image.description="Tells Prometheus whether what runs on Kubernetes is stable" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /zoneinfo.zip /zoneinfo.zip
COPY --from=build /stability_exporter /stability_exporter
ENV ZONEINFO=/zoneinfo.zip
# A number, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
EXPOSE 10099
ENTRYPOINT ["/stability_exporter"]
