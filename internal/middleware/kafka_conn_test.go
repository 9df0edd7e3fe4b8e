// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"stability-exporter/internal/state"
)

// A cluster that is gone is down, whatever was known of it before.
func TestKafkaThatIsGone(t *testing.T) {
	c := startKafka(t)
	wantUp(t, askKafka(t, c))
	address := c.ListenAddrs()[0]
	c.Close()
	wantProblem(t, Run(t.Context(), targetOf(t, "kafka", address), nil), Refused)
}

// The next broker is asked when one does not answer, and not when one refuses.
func TestKafkaFurtherBrokers(t *testing.T) {
	c := startKafka(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	silent := listen(t, func(net.Conn) { <-end })
	for _, first := range []string{gone.Addr().String(), silent} {
		v := Run(t.Context(), targetOf(t, "kafka", first, withOption("brokers", c.ListenAddrs()[1]), func(t *Target) { t.Timeout = 3 * time.Second }), nil)
		wantUp(t, v)
	}
	talking := listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")) })
	wantProblem(t, Run(t.Context(), targetOf(t, "kafka", talking, withOption("brokers", c.ListenAddrs()[1])), nil), Protocol)
}

// users lets u in with any of the three ways.
func users() []kfake.Opt {
	return []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "u", "secret-password"), kfake.Superuser("SCRAM-SHA-256", "u", "secret-password"),
		kfake.Superuser("PLAIN", "u", "secret-password")}
}

func TestKafkaLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []func(*Target)
		want   Reason
	}{
		{"by default", []func(*Target){withLogin("u", "secret-password")}, ""},
		{"the shorter way", []func(*Target){withLogin("u", "secret-password"), withOption("sasl", "scram-sha-256")}, ""},
		{"a wrong password", []func(*Target){withLogin("u", "wrong-password")}, Auth},
		{"nobody of this name", []func(*Target){withLogin("v", "secret-password")}, Auth},
		{"no password", []func(*Target){withLogin("u", "")}, Auth},
		{"no login", nil, Auth},
		{"the password itself, to whoever listens", []func(*Target){withLogin("u", "secret-password"), withOption("sasl", "plain")}, Auth},
		{"the password itself, as allowed", []func(*Target){withLogin("u", "secret-password"), withOption("sasl", "plain"), withOption("plain_without_tls", "true")}, ""},
		{"a wrong password itself", []func(*Target){withLogin("u", "wrong-password"), withOption("sasl", "plain"), withOption("plain_without_tls", "true")}, Auth},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := askKafka(t, startKafka(t, users()...), c.change...)
			if c.want == "" {
				wantUp(t, v)
			} else {
				wantProblem(t, v, c.want)
			}
			for _, p := range v.Problems {
				if strings.Contains(p.Detail, "password") && strings.Contains(p.Detail, "-password") {
					t.Errorf("shown: %s", p.Detail)
				}
			}
		})
	}
}

// Servers with which a login cannot end well.
func TestKafkaLoginsThatFail(t *testing.T) {
	t.Run("a way that the broker does not take", func(t *testing.T) {
		fake := startKafka(t, users()...)
		answering(fake, kmsg.SASLHandshake, func(kmsg.Request) kmsg.Response {
			response := kmsg.NewPtrSASLHandshakeResponse()
			response.ErrorCode, response.SupportedMechanisms = kerr.UnsupportedSaslMechanism.Code, []string{"GSSAPI"}
			return response
		})
		v := askKafka(t, fake, withLogin("u", "secret-password"))
		wantProblem(t, v, Auth)
		if !strings.Contains(v.Problems[0].Detail, "GSSAPI") {
			t.Errorf("problems %v", v.Problems)
		}
	})
	t.Run("a server that does not know the password", func(t *testing.T) {
		fake := startKafka(t, users()...)
		answering(fake, kmsg.SASLAuthenticate, func(request kmsg.Request) kmsg.Response {
			message := string(request.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
			response := kmsg.NewPtrSASLAuthenticateResponse()
			response.SASLAuthBytes = []byte("v=AAAA")
			if _, nonce, first := strings.Cut(message, ",r="); first && strings.HasPrefix(message, "n,,") {
				response.SASLAuthBytes = []byte("r=" + nonce + "x,s=c2FsdA==,i=4096")
			}
			return response
		})
		wantProblem(t, askKafka(t, fake, withLogin("u", "secret-password")), Auth)
	})
	t.Run("a listener without a login", func(t *testing.T) {
		fake := startKafka(t)
		answering(fake, kmsg.SASLHandshake, func(kmsg.Request) kmsg.Response {
			response := kmsg.NewPtrSASLHandshakeResponse()
			response.ErrorCode = kerr.IllegalSaslState.Code
			return response
		})
		wantProblem(t, askKafka(t, fake, withLogin("u", "secret-password")), Auth)
	})
}

// authority writes the certificate of a server on loopback to a file, and returns it with its key.
func authority(t *testing.T, notAfter time.Time) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kafka"}, NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pemOf(der), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestKafkaTLS(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name     string
		notAfter time.Time
		change   func(*TLSOptions)
		want     Reason
		verified state.Tristate
	}{
		{"well", now.Add(24 * time.Hour), func(*TLSOptions) {}, "", state.True},
		{"expired", now.Add(-time.Hour), func(*TLSOptions) {}, CertExpired, state.False},
		{"expired, and asked all the same", now.Add(-time.Hour), func(o *TLSOptions) { o.SkipVerify = true }, "", state.False},
		{"nobody knows who signed it", now.Add(24 * time.Hour), func(o *TLSOptions) { o.CAFile = "" }, CertInvalid, state.False},
	} {
		t.Run(c.name, func(t *testing.T) {
			certificate, file := authority(t, c.notAfter)
			fake := startKafka(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret-password"))
			v := askKafka(t, fake, withLogin("u", "secret-password"), withOption("sasl", "plain"), withOption("plain_without_tls", "true"), func(t *Target) {
				t.TLS = TLSOptions{Enabled: true, CAFile: file}
				c.change(&t.TLS)
			})
			if c.want == "" {
				wantUp(t, v)
			} else {
				wantProblem(t, v, c.want)
			}
			if v.TLSVerified != c.verified || v.TLSNotAfter == 0 {
				t.Errorf("verified %v, not after %v", v.TLSVerified, v.TLSNotAfter)
			}
		})
	}
	certificate, file := authority(t, now.Add(24*time.Hour))
	fake := startKafka(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret-password"))
	plain := []func(*Target){withLogin("u", "secret-password"), withOption("sasl", "plain"), func(t *Target) { t.TLS = TLSOptions{Enabled: true, CAFile: file} }}
	wantUp(t, askKafka(t, fake, plain...))
	wantProblem(t, askKafka(t, fake, append(plain, func(t *Target) { t.TLS.SkipVerify = true })...), Auth)
	if v := askKafka(t, fake, withLogin("u", "secret-password")); v.Up || !slices.Contains([]Reason{TLS, Closed}, reasons(v)[0]) {
		t.Errorf("without TLS: %v", v.Problems)
	}
}

// One broker of three that hangs costs neither the deadline nor what the others say, and is missed.
func TestKafkaBrokerThatHangs(t *testing.T) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	silent := listen(t, func(net.Conn) { <-end })
	c := startKafka(t)
	withMetadata(c, func(m *kmsg.MetadataResponse) { m.Brokers[2] = brokerAt(2, silent) })
	group := groupAt(t, c, 2)
	began := time.Now()
	v := askKafka(t, c, withOption("groups", group), func(t *Target) { t.Timeout = 2 * time.Second })
	wantUp(t, v, MembersMissing)
	wantValue(t, v.Members, "healthy", 2)
	wantValue(t, v.Partitions, "offline", 0)
	wantUnknown(t, v, "consumer_lag{"+group+"}", TimedOut)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %s", took)
	}
	wantTold(t, kafkaKind(), v, "consumer_lag")
	v = askKafka(t, c, withOption("every_broker", "false"))
	wantUp(t, v)
	wantValue(t, v.Members, "healthy", 3)
	wantUnknown(t, v, "alarm{log_dir_offline}", NotConfigured)
	wantTold(t, kafkaKind(), v)
}

// groupAt returns a consumer group that a broker looks after.
func groupAt(t *testing.T, c *kfake.Cluster, node int32) string {
	t.Helper()
	for i := range 1000 {
		if name := fmt.Sprintf("group%d", i); c.CoordinatorFor(name) == node {
			return name
		}
	}
	t.Fatalf("broker %d looks after none", node)
	return ""
}

// What a cluster advertises is as little to be trusted as what else it says.
func TestKafkaAdvertisedAddresses(t *testing.T) {
	t.Run("metadata of a cloud", func(t *testing.T) {
		c := startKafka(t)
		withMetadata(c, func(m *kmsg.MetadataResponse) { m.Brokers[2] = brokerAt(2, "169.254.169.254:80") })
		v := askKafka(t, c)
		wantUp(t, v, Forbidden, MembersMissing)
		wantTold(t, kafkaKind(), v)
	})
	t.Run("not meant for the credential", func(t *testing.T) {
		var visits atomic.Int32
		stranger := listen(t, func(net.Conn) { visits.Add(1) })
		c := startKafka(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "u", "secret-password"))
		withMetadata(c, func(m *kmsg.MetadataResponse) { m.Brokers[2] = brokerAt(2, stranger) })
		group := groupAt(t, c, 2)
		v := askKafka(t, c, withLogin("u", "secret-password"), withOption("groups", group), func(t *Target) { t.Credential.Targets = c.ListenAddrs()[:2] })
		wantUp(t, v)
		wantValue(t, v.Members, "healthy", 3) // it was not asked, which says nothing of it
		wantUnknown(t, v, "alarm{log_dir_offline}", NotConfigured)
		wantUnknown(t, v, "consumer_lag{"+group+"}", NotConfigured)
		wantTold(t, kafkaKind(), v, "consumer_lag")
		if n := visits.Load(); n != 0 {
			t.Errorf("%d connections to an address that the credential is not meant for", n)
		}
	})
}

// farAway is a connection to another machine.
type farAway struct{ net.Conn }

// RemoteAddr implements net.Conn.
func (farAway) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9092} }

// A cluster elsewhere that advertises loopback leads to the machine that asks: it is the commonest mistake in a configuration, or worse.
func TestKafkaLoopback(t *testing.T) {
	var asked atomic.Bool
	address := listen(t, func(conn net.Conn) {
		n, _ := conn.Read(make([]byte, 1))
		asked.Store(n > 0)
	})
	p := &Probe{Recorder: &Recorder{}, Target: targetOf(t, "kafka", "10.0.0.1:9092"), now: time.Now}
	k := &kafka{Probe: p, first: &kafkaConn{conn: farAway{}}}
	if _, err := k.connect(t.Context(), p, address, time.Second); err == nil || reasonOf(err) != Forbidden {
		t.Errorf("connected: %v", err)
	}
	if asked.Load() {
		t.Error("something was sent")
	}
}

// Servers that are no brokers, or brokers that mean harm.
func TestKafkaServersThatMeanHarm(t *testing.T) {
	endless := func(conn net.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
	hello := func(conn net.Conn) bool {
		_, err := readKafkaFrame(conn, maxKafkaSmall)
		if err != nil {
			return false
		}
		said := kmsg.NewPtrApiVersionsResponse()
		for key, ours := range kafkaAPIs() {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MinVersion, k.MaxVersion = key, ours.lowest, ours.highest
			said.ApiKeys = append(said.ApiKeys, k)
		}
		_, err = conn.Write(kafkaFrame(1, said.AppendTo(nil)))
		return err == nil
	}
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	wantProblem(t, Run(t.Context(), targetOf(t, "kafka", listen(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4)) }), func(t *Target) { t.TLS.Enabled = true }), nil), TLS)
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  Reason
	}{
		"endless":            {endless, Protocol},
		"endless, later":     {func(conn net.Conn) { _ = hello(conn); endless(conn) }, Protocol},
		"TLS":                {func(conn net.Conn) { _, _ = conn.Write([]byte{0x15, 3, 3, 0, 2, 2, 0x50}); <-end }, TLS},
		"HTTP":               {func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); <-end }, Protocol},
		"another number":     {func(conn net.Conn) { _, _ = conn.Write(kafkaFrame(7, make([]byte, 6))); <-end }, Protocol},
		"knows nothing":      {func(conn net.Conn) { _, _ = conn.Write(kafkaFrame(1, make([]byte, 6))); <-end }, Protocol},
		"many topics":        {func(conn net.Conn) { _ = hello(conn); promise(conn, 1<<23, 1<<23); <-end }, Protocol},
		"a long answer":      {func(conn net.Conn) { _ = hello(conn); promise(conn, 1<<30, 64); <-end }, Protocol},
		"half an answer":     {func(conn net.Conn) { _ = hello(conn); promise(conn, 1<<20, 64); <-end }, Timeout},
		"ends when asked":    {func(conn net.Conn) { _ = hello(conn); _, _ = readKafkaFrame(conn, maxKafkaSmall) }, Auth},
		"ends at the begin":  {func(conn net.Conn) { _, _ = readKafkaFrame(conn, maxKafkaSmall) }, Closed},
		"hangs when asked":   {func(conn net.Conn) { _ = hello(conn); <-end }, Timeout},
		"hangs at the begin": {func(net.Conn) { <-end }, Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Run(t.Context(), targetOf(t, "kafka", listen(t, c.serve), func(t *Target) {
				if c.want == Timeout {
					t.Timeout = time.Second
				}
			}), nil)
			wantProblem(t, v, c.want)
		})
	}
}

// kafkaFrame is an answer to a request with a number.
func kafkaFrame(number int32, body []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(number))
	return append(frame, body...)
}

// promise announces so many bytes and sends some of them, which say that as many topics follow as the decoder believes.
func promise(conn net.Conn, announced, sent int) {
	if _, err := readKafkaFrame(conn, maxKafkaSmall); err != nil {
		return
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(announced))
	frame = binary.BigEndian.AppendUint32(frame, 2)
	frame = append(frame, make([]byte, 4+4+2+4)...) // no throttling, no broker, no name of the cluster, controller 0
	frame = binary.BigEndian.AppendUint32(frame, uint32(announced/5-100))
	_, _ = conn.Write(append(frame, make([]byte, 4+sent-len(frame))...))
}

// Nothing runs on after a probe, whatever came of it.
func TestKafkaLeavesNothingBehind(t *testing.T) {
	c := startKafka(t)
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			askKafka(t, c)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			Run(ctx, targetOf(t, "kafka", c.ListenAddrs()[0]), nil)
		})
	}
	all.Wait()
	awaitGoroutines(t, before+2)
}

// What is decoded is at most some twenty times as large as what came, whatever it announces.
func TestKafkaAnswersDoNotGrow(t *testing.T) {
	const size = 1 << 20
	head := append(make([]byte, 4+4+2+4), 0, 0, 0, 0)
	topic := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for name, body := range map[string][]byte{
		"many topics":       bytes.Repeat(topic, size/len(topic)),
		"topics that lack":  make([]byte, size),
		"negative numbers":  bytes.Repeat([]byte{0xff}, size),
		"tags without data": bytes.Repeat([]byte{1, 0, 0}, size/3),
	} {
		for version := range int16(13) {
			announced := binary.BigEndian.AppendUint32(slices.Clone(head[:len(head)-4]), uint32(size/len(topic)))
			frame := kafkaFrame(1, append(announced, body...))[4:]
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			response := kmsg.NewPtrMetadataResponse()
			response.Version = version
			_ = decodeKafka(frame, 1, response)
			if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 30*size {
				t.Errorf("%s, version %d: %d MiB of 1", name, version, (after.TotalAlloc-before.TotalAlloc)>>20)
			}
		}
	}
}

// No answer gets anything to panic, and what is made of it stays within what it says.
func FuzzKafkaAnswers(f *testing.F) {
	well := metadataOf(nil, func(m *kmsg.MetadataResponse) { m.Brokers = []kmsg.MetadataResponseBroker{brokerAt(0, "127.0.0.1:1")} })
	well.Version = 8
	f.Add(int16(8), kafkaFrame(1, well.AppendTo(nil)))
	f.Add(int16(0), kafkaFrame(1, []byte{0, 1, 0, 0}))
	f.Add(int16(4), kafkaFrame(1, []byte{0, 0, 0, 0, 0, 0, 0}))
	f.Add(int16(0), []byte{0, 0, 0, 9, 0, 0, 0, 1, 0x80, 0x80})
	f.Fuzz(func(t *testing.T, version int16, data []byte) {
		frame, err := readKafkaFrame(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		if rest, ok := skipTags(frame); ok && !bytes.HasSuffix(frame, rest) {
			t.Errorf("%x is not the end of %x", rest, frame)
		}
		for key := range kafkaAPIs() {
			response := kmsg.ResponseForKey(key)
			response.SetVersion(version & 15)
			if decodeKafka(frame, 1, response) != nil {
				continue
			}
			switch said := response.(type) {
			case *kmsg.DescribeQuorumResponse:
				if q := readQuorum(said); q.behind > q.voters {
					t.Errorf("%d of %d behind", q.behind, q.voters)
				}
			case *kmsg.MetadataResponse:
				k := &kafka{Probe: &Probe{Recorder: &Recorder{}, Target: targetOf(t, "kafka", "127.0.0.1:1")}, metadata: said}
				k.list()
				topics := k.partitions()
				k.judgeController()
				k.judgePartitions(topics)
				k.judgeBrokers(topics)
				if len(k.brokers) > len(said.Brokers) || len(topics.names) > len(said.Topics) {
					t.Errorf("%d brokers, %d topics of %d and %d", len(k.brokers), len(topics.names), len(said.Brokers), len(said.Topics))
				}
			}
		}
	})
}
