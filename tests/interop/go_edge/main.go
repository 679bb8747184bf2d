// Go_edge plays the edge of a tunnel, written from docs/protocol.md alone: it answers a log and an
// exec call. It shows that the page is enough to write the other end from.
//
// Extended CONNECT is off in golang.org/x/net/http2 unless GODEBUG=http2xconnect=1 is set.
package main

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http2"
)

// One second for the handshake and the upgrade would do on a real link too.
const dialTimeout = 10 * time.Second

type options struct {
	server, site, ca, cert, key string
	cutAfter                    int64
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "", "host:port of the provider's edge port")
	flag.StringVar(&o.site, "site", "", "name of the site")
	flag.StringVar(&o.ca, "ca", "", "the site's CA certificate")
	flag.StringVar(&o.cert, "cert", "", "client certificate")
	flag.StringVar(&o.key, "key", "", "its key")
	flag.Int64Var(&o.cutAfter, "cut-after", 0, "drop the connection once, after so many bytes sent")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

// run keeps one session, over as many connections as it takes.
func run(o options) error {
	instance := make([]byte, 16)
	if _, err := rand.Read(instance); err != nil {
		return err
	}
	p := newPipe(o.cutAfter)
	session := ""
	for {
		ws, answer, err := dial(o, hex.EncodeToString(instance), session, p.received())
		if err != nil {
			return err
		}
		given := answer.Get("Edgelet-Session")
		switch {
		case session == "":
			session = given
			go serve(p)
		case given != session:
			return fmt.Errorf("the provider does not know the session any more")
		}
		count, err := peerCount(answer)
		if err != nil {
			return err
		}
		err = p.carry(ws, count)
		if p.isClosed() {
			return nil
		}
		log.Printf("connection lost: %v", err)
	}
}

func dial(o options, instance, session string, received uint64) (*websocket.Conn, http.Header, error) {
	tlsConfig, err := tlsConfig(o)
	if err != nil {
		return nil, nil, err
	}
	dialer := websocket.Dialer{
		TLSClientConfig:  tlsConfig,
		HandshakeTimeout: dialTimeout,
		Subprotocols:     []string{"edgelet.h2.v1"},
	}
	header := http.Header{"Edgelet-Instance": {instance}}
	if session != "" {
		header.Set("Edgelet-Session", session)
		header.Set("Edgelet-Received", strconv.FormatUint(received, 10))
	}
	ws, response, err := dialer.Dial("wss://"+o.server+"/tunnel", header)
	if err != nil {
		if response != nil {
			text, _ := io.ReadAll(response.Body)
			return nil, nil, fmt.Errorf("%w: %s: %s", err, response.Status, text)
		}
		return nil, nil, err
	}
	if ws.Subprotocol() != "edgelet.h2.v1" {
		return nil, nil, fmt.Errorf("the server does not speak edgelet.h2.v1")
	}
	ws.SetReadLimit(maxMessage)
	return ws, response.Header, nil
}

func peerCount(answer http.Header) (uint64, error) {
	text := answer.Get("Edgelet-Received")
	if text == "" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

func tlsConfig(o options) (*tls.Config, error) {
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", o.ca)
	}
	certificate, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      roots,
		ServerName:   "provider." + o.site + ".edgelet.internal",
		Certificates: []tls.Certificate{certificate},
	}, nil
}

// serve is the HTTP/2 server on the pipe, with the settings of docs/protocol.md §3.
func serve(p *pipe) {
	server := &http2.Server{
		MaxConcurrentStreams:         256,
		MaxDecoderHeaderTableSize:    4096,
		MaxReadFrameSize:             16384,
		MaxUploadBufferPerConnection: 16 << 20,
		MaxUploadBufferPerStream:     64 << 10,
		ReadIdleTimeout:              5 * time.Second,
		PingTimeout:                  10 * time.Second,
	}
	server.ServeConn(p, &http2.ServeConnOpts{
		BaseConfig: &http.Server{MaxHeaderBytes: 64 << 10},
		Handler:    http.HandlerFunc(answer),
	})
	p.Close()
}

func answer(w http.ResponseWriter, r *http.Request) {
	protocol := r.Header.Get(":protocol")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/containerLogs/default/web/main":
		writeLog(w, r)
	case r.Method == http.MethodConnect && protocol == "websocket" && r.URL.Path == "/exec/default/web/main":
		exec(w, r)
	default:
		http.Error(w, "404 page not found", http.StatusNotFound)
	}
}

// writeLog sends as many numbered lines as the query's tailLines says.
func writeLog(w http.ResponseWriter, r *http.Request) {
	lines, err := strconv.Atoi(r.URL.Query().Get("tailLines"))
	if err != nil {
		http.Error(w, "tailLines must be a number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	for n := range lines {
		fmt.Fprintf(w, "line %d of a log that a Go program tells\n", n)
	}
}

// exec plays a runtime's streaming server after its 101: what comes on channel 0 goes back on
// channel 1, until it is "exit", and then the status on channel 3 says that all went well.
func exec(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Edgelet-Method") != http.MethodGet {
		http.Error(w, "an upgrade to websocket is a GET", http.StatusBadRequest)
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	w.Header().Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.Header().Set("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	if err := flusher.Flush(); err != nil {
		return
	}
	for {
		message, err := readFrame(r.Body)
		if err != nil || len(message) == 0 || message[0] != 0 {
			return
		}
		if string(message[1:]) == "exit" {
			break
		}
		w.Write(frame(append([]byte{1}, message[1:]...)))
		flusher.Flush()
	}
	w.Write(frame(append([]byte{3}, `{"metadata":{},"status":"Success"}`...)))
	w.Write([]byte{0x88, 2, 1000 >> 8, 1000 & 0xff})
	flusher.Flush()
}
