// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"stability-exporter/internal/state"
)

func imageChecks() []Check {
	return []Check{{
		ID: "image_mutable_tag", Category: Image, Levels: []Level{Info, Warning},
		English: "The image has no version: every new pod may run another one",
		Chinese: "镜像没有固定版本，每个新 Pod 可能运行不同的内容",
		Why: "A pod that is replaced on some other night (a drained node, an eviction, a scale-up) pulls whatever the tag means by then: a release that nobody rolled " +
			"out, replicas that differ, and no way back, because the old and the new version are called the same.",
		Fix: "Name a version (nginx:1.29.1), or better the digest.",
		Spares: "Anything with a digest, and tags that name a version, however coarse (1.29, 8-jre, bookworm). Branch names (main, edge, nightly), init containers and the containers of Jobs are " +
			"info. A port of the registry is no tag: registry:5000/web is found. The image \"auto\" of Istio's gateways and references with :// are placeholders.",
		OfContainer: mutableTag,
	}}
}

func mutableTag(c *ContainerSubject) Verdict {
	repository, tag := c.Image.Repository.String(), c.Image.Tag.String()
	if c.Image.Digest || repository == "" || repository == "auto" && tag == "" {
		return Verdict{}
	}
	level := Warning
	if !c.Serving() || c.Type == state.InitContainer {
		level = Info
	}
	switch {
	case tag == "":
		return Verdict{level, fmt.Sprintf("the image %s has no tag, so latest is meant", repository)}
	case tag == "latest":
		return Verdict{level, fmt.Sprintf("the image %s has the tag latest", repository)}
	case movesOn(tag):
		return Verdict{Info, fmt.Sprintf("the image %s has the tag %s", repository, tag)}
	}
	return Verdict{}
}

// movesOn reports whether a tag by its name is meant to be overwritten with every build.
func movesOn(tag string) bool {
	switch tag {
	case "main", "master", "trunk", "head", "HEAD", "dev", "devel", "develop", "edge", "nightly", "canary", "snapshot", "unstable":
		return true
	}
	return strings.HasPrefix(tag, "latest-") || strings.HasSuffix(tag, "-latest")
}
