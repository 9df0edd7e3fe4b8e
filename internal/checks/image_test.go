// SPDX-License-Identifier: Apache-2.0

package checks

import "stability-exporter/internal/state"

func imageCases() caseTable {
	of := func(repository, tag string, options ...func(*state.ContainerSpec)) *state.SetupView {
		return aWorkload(withContainers(aContainer("app", append(options, withImage(repository, tag))...)))
	}
	return caseTable{"image_mutable_tag": {
		{name: "a version", subject: of("nginx", "1.29.1"), want: Fine},
		{name: "a coarse version", subject: of("nginx", "1.29"), want: Fine},
		{name: "a release name", subject: of("debian", "bookworm"), want: Fine},
		{name: "latest", subject: of("nginx", "latest"), want: Warning, detail: `image nginx has the tag latest`},
		{name: "no tag; reg:5000/web is split before", subject: of("web", ""), want: Warning, detail: `no tag`},
		{name: "a digest without a tag", subject: aWorkload(withContainers(aContainer("app", withImage("nginx", ""), byDigest))), want: Fine},
		{name: "a digest beside latest", subject: aWorkload(withContainers(aContainer("app", withImage("nginx", "latest"), byDigest))), want: Fine},
		{name: "a branch", subject: of("web", "main"), want: Info, detail: `tag main`},
		{name: "latest of a variant", subject: of("web", "latest-alpine"), want: Info},
		{name: "latest in the middle of a word", subject: of("web", "mylatest"), want: Fine},
		{name: "a sidecar", subject: of("proxy", "latest", ofType(state.SidecarContainer)), want: Warning},
		{name: "an init container", subject: of("migrate", "", ofType(state.InitContainer)), want: Info},
		{name: "a Job", subject: aWorkload(withContainers(aContainer("app", withImage("backup", "latest"))), ofKind(state.Jobs)), want: Info},
		{name: "Istio puts its own image there", subject: of("auto", ""), want: Fine},
		{name: "no image, which no API server accepts", subject: of("", ""), want: Fine},
	}}
}

func byDigest(c *state.ContainerSpec) { c.Image.Digest = true }
