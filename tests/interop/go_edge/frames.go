package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

// frame is one unmasked binary WebSocket frame (RFC 6455 §5.2), as a server sends them.
func frame(payload []byte) []byte {
	head := []byte{0x82}
	switch {
	case len(payload) < 126:
		head = append(head, byte(len(payload)))
	case len(payload) < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(len(payload)))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(len(payload)))
	}
	return append(head, payload...)
}

// readFrame reads one masked frame that is a whole message, as a client sends them.
func readFrame(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	if head[0]&0x8f != 0x82 || head[1]&0x80 == 0 {
		return nil, fmt.Errorf("no masked binary frame: %x", head)
	}
	size := uint64(head[1] & 0x7f)
	wide := map[uint64]int{126: 2, 127: 8}[size]
	if wide > 0 {
		var long [8]byte
		if _, err := io.ReadFull(r, long[8-wide:]); err != nil {
			return nil, err
		}
		size = binary.BigEndian.Uint64(long[:])
	}
	if size > 1<<20 {
		return nil, fmt.Errorf("frame of %d bytes", size)
	}
	masked := make([]byte, 4+size)
	if _, err := io.ReadFull(r, masked); err != nil {
		return nil, err
	}
	payload := masked[4:]
	for i := range payload {
		payload[i] ^= masked[i%4]
	}
	return payload, nil
}
