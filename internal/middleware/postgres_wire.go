// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// maxPGMessage bounds one message of PostgreSQL, maxPGRows the rows of one answer.
const (
	maxPGMessage = 1 << 20
	maxPGRows    = 10000
)

// pgSession is a connection to PostgreSQL that has logged in.
type pgSession struct {
	p    *Probe
	conn *pgconn.PgConn
}

// dialPostgres connects and logs in. Nothing is taken from the environment or the files that the client would look into by itself.
func (p *Probe) dialPostgres(ctx context.Context, database string) (*pgSession, error) {
	username, password, _, err := p.Login()
	if err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig("host=localhost port=5432 user=nobody sslmode=disable passfile=/dev/null target_session_attrs=any")
	if err != nil {
		return nil, fail(Internal, "cannot prepare the client: %w", err)
	}
	config.User, config.Password, config.Database = username, password.Reveal(), database
	if username == "" {
		config.User = "stability_exporter"
	}
	config.RuntimeParams = map[string]string{"application_name": "stability_exporter"}
	config.Host, config.Port, config.Fallbacks, config.TLSConfig, config.ConnectTimeout = "target", 1, nil, nil, 0
	config.KerberosSrvName, config.KerberosSpn, config.OAuthTokenProvider, config.ChannelBinding = "", "", nil, "disable"
	config.MinProtocolVersion, config.MaxProtocolVersion = "3.0", "3.0"
	config.ValidateConnect, config.AfterConnect, config.AfterNetConnect = nil, nil, nil
	config.RequireAuth = p.pgMethods(!password.Empty())
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil } // dialPG does not look at it
	// Without the client's words, which name an address that is none. After an error the client dials once more, in the background, to
	// cancel what was asked: a probe that has ended dials nobody.
	var undialled error
	var dialled atomic.Bool
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, fail(Internal, "a probe makes one connection")
		}
		var conn net.Conn
		conn, undialled = p.dialPG(ctx)
		return conn, undialled
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxPGMessage)
		return f
	}
	began := time.Now()
	conn, err := pgconn.ConnectConfig(ctx, config)
	p.Phase("auth", time.Since(began))
	if err != nil && undialled != nil {
		return nil, undialled
	}
	if err != nil {
		return nil, pgError(err)
	}
	return &pgSession{p, conn}, nil
}

// pgMethods are the ways to log in that a server may ask for: none that gives the password itself to whoever listens without TLS.
func (p *Probe) pgMethods(withPassword bool) string {
	switch {
	case p.Option("require_auth") != "":
		return p.Option("require_auth")
	case !withPassword:
		return "none"
	case p.Target.TLS.Enabled && !p.Target.TLS.SkipVerify:
		return "scram-sha-256,md5,password,none"
	}
	return "scram-sha-256,md5,none"
}

// dialPG connects, and protects the connection where the target is asked with TLS.
func (p *Probe) dialPG(ctx context.Context) (net.Conn, error) {
	address, err := p.Target.hostPort()
	if err != nil {
		return nil, err
	}
	conn, err := p.dialPlain(ctx, address)
	if err != nil || !p.Target.TLS.Enabled {
		return conn, err
	}
	const sslRequest = 80877103
	ask := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), sslRequest)
	said := make([]byte, 1)
	if _, err = conn.Write(ask); err == nil {
		_, err = io.ReadFull(conn, said)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("cannot ask for TLS: %w", err)
	case said[0] != 'S':
		err = fail(TLS, "the server offers no TLS")
	default:
		return p.handshake(ctx, conn, address)
	}
	conn.Close()
	return nil, err
}

// pgError gives an error of the client or the server its reason, and leaves out what the client adds of its own.
func pgError(err error) error {
	var said *pgconn.PgError
	var known *reasoned
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &said):
		return fail(pgReason(said), "SQLSTATE %s: %w", said.Code, errors.New(clean(said.Message)))
	case strings.Contains(err.Error(), "require_auth"), strings.Contains(err.Error(), "requirement"):
		return fail(Auth, "the server asks for a way to log in that is not allowed here: %w", unwrapped(err))
	case strings.Contains(err.Error(), "SCRAM"), strings.Contains(err.Error(), "SASL"):
		return fail(Auth, "cannot log in: %w", unwrapped(err))
	}
	return unwrapped(err)
}

// unwrapped takes away the client's own words, which name users and addresses.
func unwrapped(err error) error {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return connecting.Unwrap()
	}
	return err
}

func pgReason(e *pgconn.PgError) Reason {
	switch {
	case e.Code == "53300", strings.Contains(e.Message, "no more connections allowed"):
		return Saturated
	case e.Code == "57P03" && strings.Contains(e.Message, "starting up"):
		return Loading
	case e.Code == "57P03", e.Code == "57P01", e.Code == "57P02":
		return Unavailable
	case strings.HasPrefix(e.Code, "28"):
		return Auth
	case e.Code == "42501":
		return Permission
	case e.Code == "3D000":
		return Mismatch
	}
	return Protocol
}

// pgRow is a row of an answer; nil is NULL.
type pgRow [][]byte

// text returns a value, empty when it is NULL or not there.
func (r pgRow) text(i int) string {
	if i >= len(r) {
		return ""
	}
	return string(r[i])
}

// number returns a number; ok is false when it is NULL or none.
func (r pgRow) number(i int) (float64, bool) {
	n, err := strconv.ParseFloat(r.text(i), 64)
	return n, err == nil && finite(n)
}

// null reports whether a value is NULL, which without pg_monitor is what may not be seen.
func (r pgRow) null(i int) bool { return i >= len(r) || r[i] == nil }

// query asks a statement by the simple protocol, which poolers know as well, and returns the rows and the names of the columns.
func (s *pgSession) query(ctx context.Context, statement string) (rows []pgRow, names []string, err error) {
	began := time.Now()
	defer func() { s.p.Phase("query", time.Since(began)) }()
	results := s.conn.Exec(ctx, statement)
	defer results.Close()
	for results.NextResult() {
		reader := results.ResultReader()
		for _, field := range reader.FieldDescriptions() {
			names = append(names, field.Name)
		}
		for reader.NextRow() {
			if len(rows) >= maxPGRows {
				return nil, nil, fail(Protocol, "the answer has more than %d rows", maxPGRows)
			}
			row := make(pgRow, 0, len(reader.Values()))
			for _, value := range reader.Values() {
				if value != nil {
					value = append([]byte{}, value...)
				}
				row = append(row, value)
			}
			rows = append(rows, row)
		}
		if _, err := reader.Close(); err != nil {
			return nil, nil, pgError(err)
		}
	}
	if err := results.Close(); err != nil {
		return nil, nil, pgError(err)
	}
	return rows, names, nil
}

// one asks for exactly one row of so many values.
func (s *pgSession) one(ctx context.Context, statement string, values int) (pgRow, error) {
	rows, _, err := s.query(ctx, statement)
	switch {
	case err != nil:
		return nil, err
	case len(rows) != 1 || len(rows[0]) != values:
		return nil, fail(Protocol, "the answer is not the one row that was asked for")
	}
	return rows[0], nil
}
