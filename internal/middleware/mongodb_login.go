// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// The ways to log in that are known: in both the server proves as well that it knows the password. The one that would give it the
// password itself (PLAIN, for LDAP) is not among them, whatever a server offers.
const (
	scramSHA256 = "SCRAM-SHA-256"
	scramSHA1   = "SCRAM-SHA-1"
)

// maxScramIterations bounds what a server may let us compute: 1,000,000 take half a second, the default of MongoDB is 15,000.
const maxScramIterations = 1_000_000

// login proves that we know the password and has the server prove it, too. Hello is what the server said of itself and the account.
func (c *mongoConn) login(hello bson, database, username string, password Secret) error {
	mechanism, err := mongoMechanism(hello.get("saslSupportedMechs"))
	if err != nil {
		return err
	}
	client, err := scramClient(mechanism, username, password.Reveal())
	if err != nil {
		return fail(Auth, "the user or the password has characters that a login must not have")
	}
	conversation := client.NewConversation()
	first, err := conversation.Step("")
	if err != nil {
		return fail(Internal, "cannot begin to log in: %w", err)
	}
	answer, err := c.run("auth", database, bsonField{"saslStart", int32(1)}, bsonField{"mechanism", mechanism},
		bsonField{"payload", []byte(first)}, bsonField{"options", []bsonField{{"skipEmptyExchange", true}}})
	if err != nil {
		return mongoLoginError(err)
	}
	for !conversation.Done() {
		challenge := string(answer.get("payload").binary())
		if scramIterations(challenge) > maxScramIterations {
			return fail(Protocol, "the server wants more than %d rounds of hashing", maxScramIterations)
		}
		proof, err := conversation.Step(challenge)
		if err != nil {
			return fail(Auth, "the server does not prove that it knows the password: %w", err)
		}
		if conversation.Done() {
			break
		}
		if answer, err = c.saslContinue(database, answer, proof); err != nil {
			return err
		}
	}
	if !conversation.Valid() {
		return fail(Auth, "the server does not prove that it knows the password")
	}
	if !answer.get("done").truth() { // older than 4.4: one more message, an empty one
		if answer, err = c.saslContinue(database, answer, ""); err != nil {
			return err
		}
	}
	if !answer.get("done").truth() {
		return fail(Protocol, "the login does not end")
	}
	return nil
}

func (c *mongoConn) saslContinue(database string, answer bson, payload string) (bson, error) {
	id, ok := answer.get("conversationId").number()
	if !ok {
		return nil, fail(Protocol, "the answer to the login cannot be read")
	}
	next, err := c.run("auth", database, bsonField{"saslContinue", int32(1)}, bsonField{"conversationId", int32(id)},
		bsonField{"payload", []byte(payload)})
	return next, mongoLoginError(err)
}

// mongoLoginError takes for a refusal what the server refuses while one logs in.
func mongoLoginError(err error) error {
	var said *mongoError
	if errors.As(err, &said) && said.reason() == Protocol {
		return &reasoned{Auth, err}
	}
	return err
}

// mongoMechanism chooses among what the server offers for the account. It offers nothing when it does not know the account, and before 4.0.
func mongoMechanism(offered bsonValue) (string, error) {
	var names []string
	for _, value := range offered.list() {
		names = append(names, value.text())
	}
	switch {
	case slices.Contains(names, scramSHA256):
		return scramSHA256, nil
	case len(names) == 0, slices.Contains(names, scramSHA1):
		return scramSHA1, nil
	}
	return "", fail(Auth, "the account logs in by %q only: use %s or %s", strings.Join(names, ", "), scramSHA256, scramSHA1)
}

// scramClient prepares one side of the exchange. SHA-1 is done with a digest that MongoDB has stored since before it knew SCRAM.
func scramClient(mechanism, username, password string) (*scram.Client, error) {
	if mechanism == scramSHA256 {
		return scram.SHA256.NewClient(username, password, "")
	}
	digest := md5.Sum([]byte(username + ":mongo:" + password))
	return scram.SHA1.NewClientUnprepped(username, hex.EncodeToString(digest[:]), "")
}

// scramIterations returns the number of iterations in a challenge; zero when there is none.
func scramIterations(challenge string) int {
	for attribute := range strings.SplitSeq(challenge, ",") {
		if text, found := strings.CutPrefix(attribute, "i="); found {
			n, err := strconv.Atoi(text)
			if err != nil {
				return maxScramIterations + 1
			}
			return n
		}
	}
	return 0
}
