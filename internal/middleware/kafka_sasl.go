// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The ways to log in. SCRAM proves that both sides know the password; plain sends it.
const (
	saslPlain    = "plain"
	saslScram256 = "scram-sha-256"
	saslScram512 = "scram-sha-512"
)

func checkSASL(value string) error {
	switch value {
	case saslPlain, saslScram256, saslScram512:
		return nil
	}
	return fmt.Errorf("want %s, %s or %s", saslPlain, saslScram256, saslScram512)
}

// kafkaLogin returns the credential as it is now; nil when there is none. Nothing may be sent when the way to log in would give the
// password itself to whoever listens, or to whoever answers.
func (p *Probe) kafkaLogin() (*login, error) {
	username, password, _, err := p.Login()
	if err != nil || p.Target.Credential == nil {
		return nil, err
	}
	if username == "" || password.Empty() {
		return nil, fail(Auth, "credential %s needs a user and a password", p.Target.Credential.Name)
	}
	protected := p.Target.TLS.Enabled && !p.Target.TLS.SkipVerify
	if p.Option("sasl") == saslPlain && !protected && !p.OptionFlag("plain_without_tls") {
		return nil, fail(Auth, "sasl plain sends the password itself: it takes TLS that verifies, or plain_without_tls")
	}
	return &login{username: username, password: password}, nil
}

// logIn does the exchange of KIP-152.
func (c *kafkaConn) logIn(ctx context.Context, as *login) error {
	began := time.Now()
	defer func() { c.Phase("auth", time.Since(began)) }()
	mechanism := strings.ToUpper(c.Option("sasl"))
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = mechanism
	answer, err := c.ask(ctx, handshake, maxKafkaSmall)
	if err != nil {
		return saslEnded(err)
	}
	said := answer.(*kmsg.SASLHandshakeResponse)
	switch kerr.TypedErrorForCode(said.ErrorCode) {
	case kerr.UnsupportedSaslMechanism:
		return fail(Auth, "it takes no %s, but %s", mechanism, strings.Join(said.SupportedMechanisms, ", "))
	case kerr.IllegalSaslState:
		return fail(Auth, "this listener takes no login: leave the credential away, or ask another port")
	}
	if err := kafkaCode(said.ErrorCode, "cannot log in"); err != nil {
		return err
	}
	if mechanism == strings.ToUpper(saslPlain) {
		_, err := c.authenticate(ctx, []byte("\x00"+as.username+"\x00"+as.password.Reveal()))
		return err
	}
	return c.logInSCRAM(ctx, mechanism, as)
}

func (c *kafkaConn) logInSCRAM(ctx context.Context, mechanism string, as *login) error {
	credential := scram.Auth{User: as.username, Pass: as.password.Reveal()}
	way := credential.AsSha512Mechanism()
	if mechanism == strings.ToUpper(saslScram256) {
		way = credential.AsSha256Mechanism()
	}
	session, message, err := way.Authenticate(ctx, "")
	if err != nil {
		return fail(Internal, "cannot begin to log in")
	}
	for done := false; !done; {
		challenge, err := c.authenticate(ctx, message)
		if err != nil {
			return err
		}
		if done, message, err = answerChallenge(session, challenge); err != nil {
			return err
		}
	}
	return nil
}

// answerChallenge does not show the texts of the client: they hold what the server has to prove.
func answerChallenge(session sasl.Session, challenge []byte) (done bool, message []byte, err error) {
	if done, message, err = session.Challenge(challenge); err != nil {
		return false, nil, fail(Auth, "the server does not prove that it knows the password")
	}
	return done, message, nil
}

// authenticate sends one message of a login and returns the answer to it.
func (c *kafkaConn) authenticate(ctx context.Context, message []byte) ([]byte, error) {
	request := kmsg.NewPtrSASLAuthenticateRequest()
	request.SASLAuthBytes = message
	answer, err := c.ask(ctx, request, maxKafkaSmall)
	if err != nil {
		return nil, saslEnded(err)
	}
	said := answer.(*kmsg.SASLAuthenticateResponse)
	if err := kafkaCode(said.ErrorCode, "wrong user or password"); err != nil {
		return nil, err
	}
	return said.SASLAuthBytes, nil
}

// saslEnded tells a broker that ends the connection instead of saying that the login is wrong.
func saslEnded(err error) error {
	if errors.Is(err, errKafkaUnsupported) {
		return fail(Auth, "it knows no login of Kafka 1.0 or later")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(Auth, "it ends the connection during the login: %w", err)
	}
	return err
}
