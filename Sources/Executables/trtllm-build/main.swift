import Commands

await CommandRunner.main(BuildCommand.self)
