from edge_runtime.command import main

main()
