// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"strings"

	"stability-exporter/internal/state"
)

// plainKey is a key that is judged and is no time: it decides which settings are in effect, or tells what a program does.
type plainKey struct {
	key  string
	kept func(string) string
}

// The keys that others ask for with Value.
const (
	KeyShutdown     = "server.shutdown" // graceful or immediate
	KeyProbes       = "management.endpoint.health.probes.enabled"
	KeyProbesLegacy = "management.health.probes.enabled" // before Spring Boot 2.3.2
	KeyProbePaths   = "management.endpoint.health.probes.add-additional-paths"
	KeyServerPort   = "server.port"
	KeyManagePort   = "management.server.port"
)

const (
	keyActive    = "spring.profiles.active"
	keyInclude   = "spring.profiles.include"
	keyGroup     = "spring.profiles.group.*"
	keyName      = "spring.config.name"
	keyLocation  = "spring.config.location"
	keyAddition  = "spring.config.additional-location"
	keyImport    = "spring.config.import"
	keyOnProfile = "spring.config.activate.on-profile"
	keyOnCloud   = "spring.config.activate.on-cloud-platform"
	keyJSON      = "spring.application.json"
	keyProfiles  = "spring.profiles" // of a document, before Spring Boot 2.4
)

var plain = []plainKey{
	{keyActive, words}, {keyInclude, words}, {keyGroup, words},
	{keyName, words}, {keyLocation, configurationFiles}, {keyAddition, configurationFiles}, {keyImport, configurationFiles},
	{KeyShutdown, words}, {KeyProbes, words}, {KeyProbesLegacy, words}, {KeyProbePaths, words},
	{KeyServerPort, words}, {KeyManagePort, words},
}

func words(value string) string { return only(value, isWords) }

// plainFor returns the index of the plain key that is written so; -1 when there is none.
func plainFor(source state.SettingSource, key string) int {
	if i := strings.LastIndexByte(key, '['); i > 0 && strings.HasSuffix(key, "]") { // an element of a list
		key = key[:i]
	}
	for i := range plain {
		if binds(source, key, plain[i].key) {
			return i
		}
	}
	return -1
}

// Value returns what is in effect for a key of a Spring application, as written; found is false when it is not set or not known.
func Value(all []state.Setting, key string) (value string, found bool) {
	for _, s := range all {
		if binds(s.Source, s.Key.String(), key) {
			value, found = s.Value, s.Value != Unknown
		}
	}
	return value, found
}
