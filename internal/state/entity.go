package state

type entity struct{}
