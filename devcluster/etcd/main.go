// etcd as a program of its own: Debian's 3.4 serves this API server, but closes watches under load.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
