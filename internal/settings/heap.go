// SPDX-License-Identifier: Apache-2.0

package settings

import "stability-exporter/internal/state"

// HeapView is the heap of a JVM as its options and the memory limit make it.
type HeapView struct{}

// Heap returns the heap that a JVM takes with these settings under a memory limit.
func Heap(all []state.Setting, limit state.Quantity) HeapView { return HeapView{} }
