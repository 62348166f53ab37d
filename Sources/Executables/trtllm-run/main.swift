import Commands

await CommandRunner.main(RunCommand.self)
