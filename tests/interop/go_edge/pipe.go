package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// docs/protocol.md §2.
const (
	typeData  = 1
	typeAck   = 2
	typeDrain = 3

	maxMessage        = 64 << 10
	maxPayload        = maxMessage - 1
	maxUnacknowledged = 16 << 20
	ackEvery          = 1 << 20
	ackAfter          = 100 * time.Millisecond
)

// pipe is the net.Conn under HTTP/2. It outlives the WebSockets that carry it: what was sent is
// kept until it is acknowledged, and sent again over the next one.
type pipe struct {
	mu      sync.Mutex
	changed *sync.Cond

	incoming      []byte
	receivedBytes uint64
	announced     uint64
	ackTimer      bool
	ackDue        bool

	kept    []byte // sent or to be sent, and not acknowledged
	acked   uint64 // the stream's position at which kept begins
	next    int    // index in kept of what goes out next
	carried *websocket.Conn

	closed   bool
	cutAfter int64
	passed   int64
}

func newPipe(cutAfter int64) *pipe {
	p := &pipe{cutAfter: cutAfter}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) received() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.receivedBytes
}

func (p *pipe) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// carry runs the pipe over one WebSocket until that ends. The peer has received count bytes.
func (p *pipe) carry(ws *websocket.Conn, count uint64) error {
	p.mu.Lock()
	if err := p.release(count); err != nil {
		p.mu.Unlock()
		return err
	}
	p.next = 0
	p.announced = p.receivedBytes
	p.ackDue = false
	p.carried = ws
	p.mu.Unlock()

	writer := make(chan struct{})
	go func() {
		defer close(writer)
		p.write(ws)
	}()
	err := p.read(ws)
	ws.Close()
	p.mu.Lock()
	p.carried = nil
	p.changed.Broadcast()
	p.mu.Unlock()
	<-writer
	return err
}

func (p *pipe) read(ws *websocket.Conn) error {
	for {
		kind, message, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if kind != websocket.BinaryMessage || len(message) < 2 {
			return fmt.Errorf("no binary message of 2 bytes or more")
		}
		if err := p.take(message[0], message[1:]); err != nil {
			return err
		}
	}
}

func (p *pipe) take(kind byte, body []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	switch kind {
	case typeData:
		p.incoming = append(p.incoming, body...)
		p.receivedBytes += uint64(len(body))
		p.scheduleAck()
	case typeAck:
		if len(body) != 8 {
			return fmt.Errorf("ACK of %d bytes", len(body))
		}
		return p.release(binary.BigEndian.Uint64(body))
	case typeDrain:
		// A server still answers what arrives.
	default:
		return fmt.Errorf("message of unknown type %d", kind)
	}
	return nil
}

func (p *pipe) scheduleAck() {
	if p.receivedBytes-p.announced >= ackEvery {
		p.ackDue = true
	} else if !p.ackTimer {
		p.ackTimer = true
		time.AfterFunc(ackAfter, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ackTimer = false
			p.ackDue = p.receivedBytes > p.announced
			p.changed.Broadcast()
		})
	}
}

func (p *pipe) release(count uint64) error {
	if count < p.acked || count > p.acked+uint64(len(p.kept)) {
		return fmt.Errorf("count of %d with %d acknowledged and %d kept", count, p.acked, len(p.kept))
	}
	drop := int(count - p.acked)
	p.kept = append([]byte(nil), p.kept[drop:]...)
	p.next = max(0, p.next-drop)
	p.acked = count
	return nil
}

func (p *pipe) write(ws *websocket.Conn) {
	for {
		message := p.nextMessage(ws)
		if message == nil {
			return
		}
		if err := ws.WriteMessage(websocket.BinaryMessage, message); err != nil {
			ws.Close()
			return
		}
		p.passed += int64(len(message))
		if p.cutAfter > 0 && p.passed >= p.cutAfter {
			p.cutAfter = 0
			ws.NetConn().Close()
			return
		}
	}
}

// nextMessage waits for something to send; nil once this WebSocket carries the pipe no more.
func (p *pipe) nextMessage(ws *websocket.Conn) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.carried != ws:
			return nil
		case p.ackDue:
			p.ackDue = false
			p.announced = p.receivedBytes
			return binary.BigEndian.AppendUint64([]byte{typeAck}, p.receivedBytes)
		case p.next < len(p.kept):
			size := min(maxPayload, len(p.kept)-p.next)
			message := append([]byte{typeData}, p.kept[p.next:p.next+size]...)
			p.next += size
			return message
		case p.closed:
			ws.Close()
			return nil
		}
		p.changed.Wait()
	}
}

// Read is for HTTP/2.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.incoming) == 0 {
		if p.closed {
			return 0, io.EOF
		}
		p.changed.Wait()
	}
	n := copy(b, p.incoming)
	p.incoming = p.incoming[n:]
	return n, nil
}

// Write is for HTTP/2; it waits while 16 MiB are unacknowledged.
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for written < len(b) {
		for len(p.kept) >= maxUnacknowledged && !p.closed {
			p.changed.Wait()
		}
		if p.closed {
			return written, net.ErrClosed
		}
		size := min(len(b)-written, maxUnacknowledged-len(p.kept))
		p.kept = append(p.kept, b[written:written+size]...)
		written += size
		p.changed.Broadcast()
	}
	return written, nil
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
	return nil
}

type address struct{}

func (address) Network() string { return "edgelet" }
func (address) String() string  { return "tunnel" }

func (p *pipe) LocalAddr() net.Addr              { return address{} }
func (p *pipe) RemoteAddr() net.Addr             { return address{} }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
