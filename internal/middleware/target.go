// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"time"
)

// Target is what is to be asked, and how.
type Target struct {
	Kind  *Kind
	Name  string // of the label target
	Group string // the group it is a member of; empty when it stands alone

	// Address is host:port, or a URL for kinds that are asked over HTTP. Credentials are never part of it.
	Address string
	TLS     TLSOptions
	// Credential is nil when the target is asked without one.
	Credential *Credential
	Options    map[string]string // of Kind.Options; every value was checked
	Limits     Limits

	Interval time.Duration // between two probes in the background
	Timeout  time.Duration // of one probe
	// Policy decides which addresses may be dialled.
	Policy Policy
	// Absent says why there is nothing to ask although there should be, as of a pod that is gone. Such a target is down; empty for all others.
	Absent string
}

// Limits say from where on something is a problem; zero means the default of the kind.
type Limits struct {
	Lag             time.Duration // replication
	ExpectedMembers int
	Role            string // the role it must have; empty: any
}

// TLSOptions say how a connection is protected. The zero value is none; a URL with https or the option enabled makes it so.
type TLSOptions struct {
	Enabled    bool
	CAFile     string
	CertFile   string
	KeyFile    string
	ServerName string
	// SkipVerify asks on although the certificate does not verify; it is told all the same (tls_verified 0), but is no problem.
	SkipVerify bool
}

// Credential is a user and a password that may be sent to some targets only.
type Credential struct {
	Name     string
	Username string
	// Password and Token are given in place or in files that are read anew for every probe.
	Password, Token         Secret
	PasswordFile, TokenFile string
	// Targets are patterns of HOST or HOST:PORT to which it may be sent, see Fits. One of numbers, such as 10.*, is for addresses only.
	Targets []string
	// Namespaces are patterns of those in which a discovered server may be sent it; none: no discovered server gets it.
	Namespaces []string
}
