// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// parseJSON reads the object of SPRING_APPLICATION_JSON.
func parseJSON(text string) document {
	if len(text) > MaxFileBytes || !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if decoder.Decode(&object) != nil {
		return nil
	}
	f := flattener{nodes: MaxNodes}
	f.json("", object, 0)
	return f.entries
}

func (f *flattener) json(path string, value any, depth int) {
	if !f.enter(depth) {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			f.json(join(path, key), value[key], depth+1)
		}
	case []any:
		for i, element := range value {
			f.json(fmt.Sprintf("%s[%d]", path, i), element, depth+1)
		}
	case string:
		f.leaf(path, value)
	case json.Number:
		f.leaf(path, value.String())
	case bool:
		f.leaf(path, fmt.Sprint(value))
	}
}
