// Command etcd is the store behind the API server, as published. The other programs are built from their modules as they are.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
