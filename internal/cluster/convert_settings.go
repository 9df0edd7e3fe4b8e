// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"stability-exporter/internal/settings"
	"stability-exporter/internal/state"
)

// The caps of what refers to ConfigMaps, for each container.
const (
	maxReferences = 512
	maxMounts     = 512 // also of the volumes that are searched for each
)

// ownSettings returns what a container says itself: literal variables, command and arguments. What comes from Secrets,
// fields and resources is not looked at.
func ownSettings(c *corev1.Container) ([]state.Setting, bool) {
	if len(c.Env)+len(c.Command)+len(c.Args) == 0 {
		return nil, false
	}
	env := make([]settings.EnvVar, 0, len(c.Env))
	for i := range c.Env {
		if v := &c.Env[i]; v.ValueFrom == nil {
			env = append(env, settings.EnvVar{Name: v.Name, Value: v.Value})
		}
	}
	return settings.FromContainer(env, c.Command, c.Args)
}

// references returns the ConfigMaps that a container takes variables and files from.
func references(c *corev1.Container, volumes []corev1.Volume) []state.Reference {
	var all []state.Reference
	for i := range c.EnvFrom {
		if from := c.EnvFrom[i].ConfigMapRef; from != nil {
			all = append(all, state.Reference{Kind: state.EnvAll, ConfigMap: name(from.Name), Name: name(c.EnvFrom[i].Prefix)})
		}
	}
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil && from.ConfigMapKeyRef != nil {
			key := from.ConfigMapKeyRef
			all = append(all, state.Reference{
				Kind: state.EnvKey, ConfigMap: name(key.Name), Key: name(key.Key), Name: name(c.Env[i].Name)})
		}
	}
	volumes = volumes[:min(len(volumes), maxMounts)]
	for i := range c.VolumeMounts[:min(len(c.VolumeMounts), maxMounts)] {
		if len(all) > maxReferences {
			break
		}
		all = mountedFiles(all, &c.VolumeMounts[i], volumes)
	}
	return all[:min(len(all), maxReferences)]
}

// mountedFiles appends the files that a mount takes from ConfigMaps, directly or through a projected volume.
func mountedFiles(all []state.Reference, mount *corev1.VolumeMount, volumes []corev1.Volume) []state.Reference {
	for i := range volumes {
		v := &volumes[i]
		if v.Name != mount.Name {
			continue
		}
		if v.ConfigMap != nil {
			return files(all, mount, v.ConfigMap.Name, v.ConfigMap.Items)
		}
		if v.Projected != nil {
			for j := range v.Projected.Sources {
				if source := v.Projected.Sources[j].ConfigMap; source != nil {
					all = files(all, mount, source.Name, source.Items)
				}
			}
		}
		return all
	}
	return all
}

// files appends what a mount shows of a ConfigMap. Without items its keys are the names of its files. A sub-path is a file
// that is mounted under the last name of the mount path, or a folder whose files keep their names.
func files(all []state.Reference, mount *corev1.VolumeMount, configMap string, items []corev1.KeyToPath) []state.Reference {
	sub := mount.SubPath
	if mount.SubPathExpr != "" {
		sub = mount.SubPathExpr
		if strings.Contains(sub, "$(") {
			return all // which file it is depends on a variable
		}
	}
	if sub = path.Clean(sub); sub == "." {
		sub = ""
	}
	file := func(key, fileName string) {
		all = append(all, state.Reference{Kind: state.FileKey, ConfigMap: name(configMap), Key: name(key), Name: name(fileName)})
	}
	switch {
	case sub == "" && len(items) == 0:
		return append(all, state.Reference{Kind: state.FilesAll, ConfigMap: name(configMap)})
	case len(items) == 0:
		file(sub, path.Base(mount.MountPath))
		return all
	}
	for i := range items[:min(len(items), maxReferences)] {
		switch at := path.Clean(items[i].Path); {
		case sub == at:
			file(items[i].Key, path.Base(mount.MountPath))
		case sub == "" || strings.HasPrefix(at, sub+"/"):
			file(items[i].Key, path.Base(at))
		}
	}
	return all
}
