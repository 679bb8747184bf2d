// kubectl of the control plane's own version, a program apart: it starts in a fraction of the time
// that the control plane's packages take to initialise.
package main

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // credentials by exec plugin and OIDC
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	// -v has to hold while the command tree is built (plugins, kuberc); a value that does not
	// parse is reported by the command line itself, below.
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		// Prints the error as kubectl does, and exits with the remote command's status for exec.
		util.CheckErr(err)
	}
}
