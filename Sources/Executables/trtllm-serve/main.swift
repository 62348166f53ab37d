import Commands

await CommandRunner.main(ServeCommand.self)
